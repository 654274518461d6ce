"""The control API's requests about faults."""

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from http import HTTPStatus
from typing import Final

from paypoll.sandbox.sumup.effects import effect_named
from paypoll.sandbox.sumup.exchange import Answer, Request, answer
from paypoll.sandbox.sumup.faults import Aim, Fault, Faults
from paypoll.sandbox.sumup.panel.reading import BadRequestError, read_body

_AIM_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "method": str,
    "path": str,
    "times": int,
    "probability": (int, Decimal),
    "seed": int,
    "processed": bool,
}


def handle_faults(faults: Faults, request: Request, rest: list[str]) -> Answer | None:
    """Return the answer; None when there is no such address. Raise BadRequestError."""
    match request.method, rest:
        case "GET", []:
            return answer([_document(fault) for fault in faults.all()])
        case "POST", []:
            return _add(faults, read_body(request))
        case "POST", ["clear"]:
            faults.clear()
            return answer({})
        case "POST", [number, "clear"]:
            for fault in faults.all():
                if str(fault.number) == number:
                    fault.clear()
                    return answer({})
    return None


def as_number(value: float | None) -> Decimal | None:
    """Return a number that is no money as JSON can write it."""
    return None if value is None else Decimal(repr(value))


def _add(faults: Faults, effect_and_aim: dict[str, object]) -> Answer:
    aim = {name: effect_and_aim.pop(name) for name in list(effect_and_aim) if name in _AIM_TYPES}
    try:
        effect = effect_named(str(effect_and_aim.pop("kind", "")), _plain(effect_and_aim))
    except ValueError as error:
        raise BadRequestError(str(error)) from error
    return answer(_document(faults.add(effect, _aim(aim))), HTTPStatus.CREATED)


def _aim(options: dict[str, object]) -> Aim:
    for name, value in options.items():
        right = _AIM_TYPES[name]
        if not isinstance(value, right) or (isinstance(value, bool) and right is not bool):
            raise BadRequestError(f"{name} is of the wrong type")
    return Aim(**_plain(options))  # type: ignore[arg-type]  # each was looked at just now


def _plain(options: Mapping[str, object]) -> dict[str, object]:
    """Return the options with numbers as the faults know them: they are seconds and chances, not money."""
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in options.items()}


def _document(fault: Fault) -> dict[str, object]:
    aim = {field.name: getattr(fault.aim, field.name) for field in fields(fault.aim)}
    return {
        "number": fault.number,
        "effect": repr(fault.effect),
        **aim,
        "probability": as_number(fault.aim.probability),
        "hits": fault.hits,
    }
