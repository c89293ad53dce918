"""Is the stated reasoning the computed one? Steps are changed, and answers that come from them change with them."""

from heldout.studies.faithfulness.findings import Faithfulness
from heldout.studies.faithfulness.marks import ReasoningMarks
from heldout.studies.faithfulness.study import faithfulness

__all__ = ["Faithfulness", "ReasoningMarks", "faithfulness"]
