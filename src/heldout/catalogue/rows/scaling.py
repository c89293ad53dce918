"""How measurements change with model size."""

from heldout.catalogue.entry import Entry

SCALING = (
    Entry(
        name="scaling",
        factory="heldout.techniques.Scaling",
        method="Fits a power law, with or without an offset, to the values of several seeds at each of several sizes, and "
        "refuses it where sizes lie off it by more than seeds differ.",
        source="Efron and Tibshirani 1993 for the bootstrap; Draper and Smith 1998, section 2.1, for the F test",
        needs="positive values by size: two seeds or more of each of three sizes, four with an offset",
        assumes="Seeds of a size differ by shares that are alike at all sizes.",
        fails="An offset and an exponent trade off against each other over a narrow range of sizes; a law says nothing "
        "beyond the sizes that were measured.",
    ),
)
