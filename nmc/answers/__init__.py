"""What each command answers: text for people and one JSON document for scripts, side by side. Nothing prints."""

from nmc.answers.answer import Answer, Document, as_json, finding, findings
from nmc.answers.lists import codes, explained, passes, target, targets, tools
from nmc.answers.network import compiled, differs, inspected, reported, simulated, stopped, verified
from nmc.answers.regression import differing, regressed, updated
from nmc.answers.studies import explored, fitted

__all__ = [
    "Answer",
    "Document",
    "as_json",
    "codes",
    "compiled",
    "differing",
    "differs",
    "explained",
    "explored",
    "finding",
    "findings",
    "fitted",
    "inspected",
    "passes",
    "regressed",
    "reported",
    "simulated",
    "stopped",
    "target",
    "targets",
    "tools",
    "updated",
    "verified",
]
