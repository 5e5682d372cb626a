"""The laws of a graph, all of them: what a pass may take for granted and a frontend must deliver."""

from __future__ import annotations

from nmc.diagnostics import Diagnostic, Severity, raise_errors
from nmc.ir.graph import Graph
from nmc.ir.laws.integer import integer_laws
from nmc.ir.laws.operation import SHAPE_CODES, operation_laws
from nmc.ir.laws.placement import placement_laws
from nmc.ir.laws.structure import loop_laws, reach_laws, reference_laws, shape_laws


def verify(graph: Graph) -> list[Diagnostic]:
    """Every finding about the graph. Without an error among them, all passes are defined on it.

    Laws that build on a broken one are left out: shapes where an operation has none, loops where an edge
    leads nowhere, placement and integers unless all else is sound.
    """
    findings: list[Diagnostic] = []
    shaped: set[str] = set()
    for node in graph.nodes:
        found = list(operation_laws(node))
        findings += found
        if all(finding.code not in SHAPE_CODES for finding in found):
            shaped.add(node.name)
    references = list(reference_laws(graph))
    findings += [*references, *shape_laws(graph, shaped)]
    if _sound(references):
        findings += [*loop_laws(graph), *reach_laws(graph)]
    if _sound(findings):
        findings += [*placement_laws(graph), *integer_laws(graph)]
    return findings


def verify_or_raise(graph: Graph) -> list[Diagnostic]:
    """The warnings about the graph. Raises CompileError with all findings if one of them is an error."""
    findings = verify(graph)
    raise_errors(findings)
    return findings


def _sound(findings: list[Diagnostic]) -> bool:
    return all(finding.severity is not Severity.ERROR for finding in findings)
