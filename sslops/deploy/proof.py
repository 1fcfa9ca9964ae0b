"""Ask the ports of one host until they show what they should, or patience ends.

With DANE nothing but the right certificate may be seen on any of the connections; a reload may take a while, so the
question is put again a few times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.deploy.at_once import in_threads
from sslops.deploy.session import Shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sslops.deploy.ports import AtOnce, Ports
    from sslops.deploy.session import Question
    from sslops.model.inventory import Host
    from sslops.model.names import ServiceId
    from sslops.model.seen import PortSeen

PATIENCE_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Pauses between one look at a port and the next."""


@dataclass(frozen=True, slots=True)
class Prover:
    """Asks ports; *sleep* takes seconds."""

    ports: Ports
    sleep: Callable[[float], None]
    patience_seconds: tuple[float, ...] = PATIENCE_SECONDS
    at_once: AtOnce = in_threads

    def prove(
        self, host: Host, asked: Mapping[ServiceId, tuple[Question, ...]], *, is_patient: bool = True
    ) -> Mapping[ServiceId, Shown]:
        """Put all questions, several at a time, and again until patience ends unless *is_patient* is false.

        A service without a question is proven by its files.
        """
        pauses = self.patience_seconds if is_patient else ()
        every = [question for questions in asked.values() for question in questions]
        answers = dict(zip(every, self.at_once(lambda question: self._ask(host, question, pauses), every), strict=True))
        return {service: _joined(answers[question] for question in questions) for service, questions in asked.items()}

    def _ask(self, host: Host, question: Question, pauses: tuple[float, ...]) -> Shown:
        shown = self._once(host, question)
        for pause in pauses:
            if shown.proof is not None:
                break
            self.sleep(pause)
            shown = self._once(host, question)
        return shown

    def _once(self, host: Host, question: Question) -> Shown:
        seen = self.ports.show(
            host,
            question.verify,
            question.server_name,
            connections=question.connections,
            over_seconds=question.over_seconds,
            key_types=(question.key_type,),
        )
        return _judge(host, question, seen)


def _judge(host: Host, question: Question, seen: PortSeen) -> Shown:
    where = f"port {question.verify.port} of '{host.name}'"
    if question.former is not None:
        return _judge_further(question, seen, where)
    if seen.error is not None:
        return Shown(None, f"{where} could not be asked: {seen.error}")
    if seen.shows_only(question.own):
        return Shown("port")
    excused = question.others | (question.by_key_type if seen.is_as_liked else frozenset())
    if seen.certificates and seen.certificates <= {question.own, *excused}:
        # The class reloaded, and the port shows another of its services, which nothing we can ask tells apart.
        return Shown("files")
    shown = ", ".join(sorted(digest[:16] for digest in seen.certificates))
    return Shown(None, f"{where} shows {shown or 'no certificate'}, not {question.own[:16]}")


def _judge_further(question: Question, seen: PortSeen, where: str) -> Shown:
    """Judge what is shown under a further name: it proves nothing, a former certificate there the contrary."""
    shown = ", ".join(sorted(digest[:16] for digest in seen.certificates & (question.former or frozenset())))
    if not shown:
        return Shown("files")
    return Shown(None, f"{where} shows {shown} for {question.server_name}, not {question.own[:16]}")


def _joined(shown: Iterable[Shown]) -> Shown:
    """Return what all questions about one service say together: every one must be answered well, and one by a port."""
    found = list(shown)
    failed = [each for each in found if each.proof is None]
    if failed:
        return failed[0]
    return Shown("port") if any(each.proof == "port" for each in found) else Shown("files")
