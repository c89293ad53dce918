import json
import re
import shutil
import subprocess
import sys
import zlib
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import pytest

from heldout.errors import InputError
from heldout.evidence import AcceptRates, Claim, Verdict
from heldout.execution.result import Null
from heldout.report import report_html, view, write_index, write_report

VOID = {"meta", "br", "hr"}


class Page(HTMLParser):
    """Checks that elements are closed in order; keeps the text, the attributes and the tags."""

    def __init__(self, html):
        super().__init__()
        self.stack, self.text, self.attributes, self.tags = [], "", [], []
        self.feed(html)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if "style" not in self.stack:
            self.text += data.replace("\u00a0", " ")


def report_of(synthetic, out, *cases):
    return (synthetic.make_bundle(out, *cases).path / "report.html").read_text()


def page_of(synthetic, out, *cases):
    return Page(report_of(synthetic, out, *cases))


@pytest.fixture(scope="module")
def html(three_cases):
    return (three_cases.path / "report.html").read_text()


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_the_page_is_one_small_file_that_asks_for_nothing(html, page):
    assert len(html.encode()) < 2_000_000
    assert not re.search(r"https?://|url\(|@import|<script|<link|<iframe|<img", html)
    links = [value for _, name, value in page.attributes if name in ("src", "href", "xlink:href", "action")]
    assert links
    assert all(value.startswith("#behaviour-") for value in links)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "default-src 'none'" in html.replace("&#x27;", "'")


def test_every_link_leads_somewhere(page):
    ids = {value for _, name, value in page.attributes if name == "id"}
    assert {value.removeprefix("#") for _, name, value in page.attributes if name == "href"} <= ids


def test_every_claim_null_verdict_and_digest_occurs(three_cases, page):
    for claim in three_cases.claims():
        assert claim.statement in page.text
        assert claim.missing is None or claim.missing in page.text
        for measured in claim.results:
            assert all(null.name in page.text for null in measured.nulls)
    for verdict in three_cases.verdicts():
        assert verdict.behaviour in page.text
        assert all(missing in page.text for missing in verdict.missing)
    provenance = three_cases.provenance()
    for digest in (*provenance.weights.values(), *provenance.data.values(), three_cases.plan().digest):
        assert digest in page.text


def test_both_views_and_the_gain_are_on_the_page(page):
    for words in ("From outputs alone", "From the inside", "What the inside view adds", "No change of decision"):
        assert words in page.text


def test_every_chart_has_axis_titles_with_units(page):
    for title in (
        "fraction of prompts",
        "effect of the restoration (fraction of unverified prompts)",
        "size of the noise",
        "effect of the injection (fraction of verified prompts)",
        "position (−1 is the last token)",
        "answers changed and still accepted (fraction)",
        "layer, intervention at resid_post",
    ):
        assert title in page.text


def test_results_without_a_chart_are_in_a_table_and_spent_ones_are_struck_through(html, page):
    assert "mahalanobis novelty" in page.text
    assert "standard deviations" in page.text
    assert "<s>probe auroc<" in html
    assert "ledger entry 17 (train, 2026-01-03)" in page.text


def test_predictive_values_stand_beside_the_false_alarm_rate(page):
    for words in ("≤ 1 %", "49 %", "8.7 %", "0.94 %"):
        assert words in page.text


def test_an_alarm_without_known_rates_says_so_and_no_alarm_says_nothing(tmp_path, synthetic):
    verdict, claims = synthetic.concealment()
    alarm = page_of(synthetic, tmp_path / "alarm", (replace(verdict, recall=None, false_alarm_rate=None), claims))
    assert "No recall or false-alarm rate is attached" in alarm.text
    assert "0 alarms in n models" in alarm.text
    assert "How far to trust an alarm" not in page_of(synthetic, tmp_path / "none", synthetic.honest()).text


def test_the_sentence_says_no_more_than_is_known(tmp_path, synthetic):
    """Of unverified prompts only acceptability is known; of verified ones that are examined, the right answer."""
    verdict, claims = synthetic.concealment()
    page = page_of(synthetic, tmp_path / "unverified", (verdict, claims))
    assert "an answer that the grader accepts and that the output does not give" in page.text
    assert "the right answer" not in page.text
    tested = [replace(c, results=tuple(replace(r, role="verified") for r in c.results)) for c in claims]
    assert "the model holds the right answer" in page_of(synthetic, tmp_path / "verified", (verdict, tested)).text


def test_a_renaming_is_not_said_to_be_the_same_answer(tmp_path, synthetic):
    verdict, claims = synthetic.honest()
    legs = {"renaming": {"found": True, "site": "resid_mid.2"}}
    text = page_of(synthetic, tmp_path / "run", (replace(verdict, legs=legs), claims)).text
    assert "each under another name" in text
    assert "Is the answer the same under another name?" in text


def test_only_hypotheses_are_found_or_not_found(tmp_path, synthetic):
    verdict, _ = synthetic.honest()
    measured = (synthetic.result("accept_rate", 0.9725, unit="fraction of prompts", interval=(0.9, 0.99)),)
    others = [
        Claim(f"other/{index}", verdict.behaviour, leg, f"Statement {index}.", found, measured)
        for index, (leg, found) in enumerate([("behaviour", True), ("behaviour", False), (None, True), (None, False)])
    ]
    html = report_of(synthetic, tmp_path / "run", (replace(verdict, legs={}), others))
    text = Page(html).text
    assert all(text.count(claim.statement) == 1 for claim in others)
    assert "Looked for and not found" not in text
    assert 'class="answer ' not in html
    assert "97 % [90 %, 99 %]" in text
    assert "fraction of prompts" not in text


def test_measurements_with_nothing_in_them_are_a_sentence(tmp_path, synthetic):
    verdict, _ = synthetic.honest()

    def removals(quantity, effects, role="unverified"):
        null = Null("random directions", 0.0, 0.0, 20, 1.0)
        return tuple(
            synthetic.result(quantity, effect, nulls=(null,), site=f"resid_post.{layer}", role=role, interval=None)
            for layer, effect in enumerate(effects)
        )

    measured = (*removals("restoration", (0.0, 0.0, 0.0)), *removals("injection", (0.5,)))
    claims = [Claim("empty", verdict.behaviour, "restored", "Something was tried.", False, measured)]
    html = report_of(synthetic, tmp_path / "run", (verdict, claims))
    assert "<figure" not in html
    assert "All effects were 0 (linear readout, at 3 sites)" in html
    assert "Measured at resid_post.0 alone" in html
    drawn = [Claim("some", verdict.behaviour, "restored", "Tried.", False, removals("restoration", (0.0, 0.1)))]
    assert report_of(synthetic, tmp_path / "drawn", (verdict, drawn)).count("<figure") == 1


def test_words_are_explained_and_no_number_has_an_exponent(page, html):
    assert "Words on this page" in html
    for word in ("bag of tokens", "transplant", "chance at 0", "resid_mid.1", "trusted and examined prompts"):
        assert word in page.text
    assert not re.search(r"\d[eE][+−-]?\d", re.sub(r"[0-9a-f]{12,}…?|p < 1e-6", "", page.text))


def test_what_the_test_part_holds_out_is_a_list(html):
    assert "<li>template 4</li><li>cue 2</li>" in html
    assert "held_out" not in html


def test_a_resumed_run_says_so(tmp_path, synthetic):
    bundle = synthetic.make_bundle(tmp_path / "run", synthetic.honest())
    assert "interrupted" not in (bundle.path / "report.html").read_text()
    path = bundle.path / "provenance.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "resumed_stages": ["behave", "elicit"]}))
    assert "This run was interrupted and resumed: behave, elicit" in report_html(bundle.path)


def test_the_page_depends_on_the_bundle_alone(three_cases, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(three_cases.path, copy)
    before = (copy / "report.html").read_bytes()
    assert write_report(copy).read_bytes() == before


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b", "</style>"])
def test_no_value_becomes_markup(tmp_path, name, synthetic):
    verdict, claims = synthetic.concealment(name)
    measured = synthetic.result(name, 0.5, technique=name, role=name, unit=name, settings={name: name})
    charted = synthetic.result(
        "readout_accuracy", 0.5, site=f"{name}.0", layer=0, position=-1, technique=name, role=name
    )
    hostile = replace(claims[0], statement=f"{name} found", missing=name, results=(measured, charted))
    verdict = replace(
        verdict,
        note=name,
        gain=name,
        calibrated_on=name,
        candidate_accepts=AcceptRates(0.5, None),
        legs={**verdict.legs, name: {name: name}},
    )
    bundle = synthetic.make_bundle(tmp_path / "run", (verdict, (hostile, *claims[1:])))
    html = (bundle.path / "report.html").read_text()
    page = Page(html)
    assert not {"script", "img"} & set(page.tags)
    assert page.tags.count("style") == 1
    assert name in page.text
    assert escape(name) in html
    assert "<script" not in html


def test_a_large_audit_stays_under_the_limit_and_still_states_every_claim(tmp_path, synthetic):
    def wide(number):
        name = f"behaviour {number}"
        measured = tuple(
            synthetic.result(quantity, 0.5, site=f"resid_post.{layer}", position=position, settings={"note": "x" * 300})
            for quantity in ("readout_accuracy", "unusual quantity")
            for layer in range(40)
            for position in range(-20, 0)
        )
        claim = Claim(f"{name}/wide", name, "represented", f"Statement number {number}.", True, measured)
        return Verdict(name, "generalised", None, 0.01, "pass"), (claim,)

    bundle = synthetic.make_bundle(tmp_path / "run", *(wide(number) for number in range(4)))
    html = (bundle.path / "report.html").read_text()
    assert len(html.encode()) < 2_000_000
    page = Page(html)
    assert all(f"Statement number {number}." in page.text for number in range(4))
    assert page.text.count("more results, summed up by quantity") >= 4


def test_a_claim_on_a_behaviour_without_a_verdict_is_shown(tmp_path, synthetic):
    verdict, claims = synthetic.honest()
    stray = Claim("stray", "elsewhere", None, "Something was seen elsewhere.", True)
    bundle = synthetic.make_bundle(tmp_path / "run", (verdict, (*claims, stray)))
    assert "Something was seen elsewhere." in Page((bundle.path / "report.html").read_text()).text


def test_a_report_can_be_added_to_a_finished_bundle(tmp_path, synthetic):
    bundle = synthetic.make_bundle(tmp_path / "run", synthetic.undetermined(), render=None)
    assert not (bundle.path / "report.html").exists()
    write_report(bundle.path)
    assert bundle.check_hashes() == []


def test_a_report_never_breaks_a_signature(tmp_path, synthetic):
    bundle = synthetic.make_bundle(tmp_path / "run", synthetic.undetermined(), render=None)
    (bundle.path / "attestations" / "bundle.sig").write_text("signed")
    with pytest.raises(
        InputError, match=r"found:    the bundle carries bundle\.sig, and its report\.html would change"
    ):
        write_report(bundle.path)
    assert not (bundle.path / "report.html").exists()


def test_viewing_gives_the_page_and_an_index_for_a_folder(tmp_path, monkeypatch, capsys, synthetic):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    bundle = synthetic.make_bundle(tmp_path / "<run> one", synthetic.concealment())
    synthetic.make_bundle(tmp_path / "two", synthetic.honest())
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "verdict.json").write_text("{}")
    assert view(bundle.path) == bundle.path / "report.html"
    index = view(tmp_path)
    assert opened == [bundle.path.joinpath("report.html").as_uri(), index.as_uri()]
    page = Page(index.read_text())
    links = [value for _, name, value in page.attributes if name == "href"]
    assert links == ["%3Crun%3E%20one/report.html", "two/report.html"]
    assert "cannot be opened" in page.text
    assert capsys.readouterr().out == ""
    assert write_index(tmp_path) == index


def test_viewing_prints_the_path_where_no_browser_opens(tmp_path, monkeypatch, capsys, synthetic):
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    bundle = synthetic.make_bundle(tmp_path / "run", synthetic.honest())
    view(bundle.path)
    assert capsys.readouterr().out == f"{bundle.path / 'report.html'}\n"


def test_viewing_a_folder_without_bundles_is_refused(tmp_path):
    with pytest.raises(InputError, match="no bundle in it"):
        view(tmp_path, open_browser=False)


WITHOUT_TORCH = """
import sys
import heldout.evidence, heldout.report
from heldout.evidence import Bundle
bundle = Bundle.open({path!r})
bundle.verdicts(), bundle.claims(), bundle.plan(), bundle.provenance(), bundle.measurements(), bundle.check_hashes()
heldout.report.report_html(bundle.path)
heavy = [name for name in ("torch", "transformers", "sklearn", "scipy", "matplotlib") if name in sys.modules]
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""


def test_a_bundle_is_opened_and_drawn_without_torch(three_cases):
    code = f"import sys; sys.path[:0] = {sys.path!r}\n" + WITHOUT_TORCH.format(path=str(three_cases.path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
)


def first_pixel(png):
    """The colour of the top left pixel: in a PNG no filter changes it."""
    data, place = b"", 8
    while place < len(png):
        length = int.from_bytes(png[place : place + 4], "big")
        data += png[place + 8 : place + 8 + length] if png[place + 4 : place + 8] == b"IDAT" else b""
        place += 12 + length
    return int.from_bytes(zlib.decompress(data)[1:4], "big")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: pages cannot be drawn")
@pytest.mark.parametrize(
    ("scheme", "background"),
    [("--blink-settings=preferredColorScheme=1", 0xF7F7F4), ("--blink-settings=preferredColorScheme=0", 0x14171A)],
)
def test_a_browser_draws_the_page_in_both_schemes(three_cases, tmp_path, scheme, background):
    def run(*arguments):
        command = [
            CHROMIUM,
            *FLAGS,
            scheme,
            f"--user-data-dir={tmp_path / 'profile'}",
            *arguments,
            (three_cases.path / "report.html").resolve().as_uri(),
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)

    run(f"--screenshot={tmp_path / 'page.png'}", "--window-size=1300,2400")
    image = (tmp_path / "page.png").read_bytes()
    assert image.startswith(b"\x89PNG")
    assert (int.from_bytes(image[16:20], "big"), int.from_bytes(image[20:24], "big")) == (1300, 2400)
    assert first_pixel(image) == background
    assert len(image) > 50_000, "an empty page takes a few thousand bytes"
    dumped = run("--dump-dom", "--enable-logging=stderr", "--v=0")
    assert dumped.stdout.count("<svg") == (three_cases.path / "report.html").read_text().count("<svg")
    assert "Content Security Policy" not in dumped.stderr
