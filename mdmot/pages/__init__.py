"""What a person looks at: the report as one page, and the plots of profiles and plans."""

from mdmot.pages.reporting import Report, report

__all__ = [
    "Report",
    "report",
]
