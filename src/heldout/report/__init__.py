"""Reports: pages made from finished bundles, without torch and without a network."""

from heldout.report.pages import report_html, write_report
from heldout.report.viewing import view, write_index

__all__ = ["report_html", "view", "write_index", "write_report"]
