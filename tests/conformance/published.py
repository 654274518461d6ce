"""SumUp's answers as its published API document (1.0.0, August 2026) describes them: fields, types, what is required.

The tables are ours, written from the document; it lies nowhere in this project. A line is a field and what it holds:
`!` is required, `?` may be null. `differences` holds an answer against a table, `example` makes a whole answer from
one, and `variations` makes the answers that SumUp may also give by it: a field left out, null, or with a value of the
future.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

_CHECKOUT: Final = """
    checkout_reference  text 90
    amount              number
    currency            code
    merchant_code       text
    description         text
    return_url          address
    id                  text
    status              one of PENDING FAILED PAID EXPIRED
    date                moment
    valid_until         moment ?
    customer_id         text
    mandate             a Mandate
    hosted_checkout_url address
    transactions        list of Attempt
"""
_TRANSACTION: Final = """
    id                  text
    transaction_code    text
    amount              number
    currency            code
    timestamp           moment
    status              one of SUCCESSFUL CANCELLED FAILED PENDING REFUNDED
    payment_type        one of CASH POS ECOM RECURRING BITCOIN BALANCE MOTO BOLETO DIRECT_DEBIT APM UNKNOWN
    installments_count  integer
"""
_AT_A_CHECKOUT: Final = """
    merchant_code       text
    vat_amount          number
    tip_amount          number
    entry_mode          one of BOLETO SOFORT IDEAL BANCONTACT EPS MYBANK SATISPAY BLIK P24 GIROPAY PIX QR_CODE_PIX \
APPLE_PAY GOOGLE_PAY PAYPAL TWINT NONE CHIP MANUAL_ENTRY CUSTOMER_ENTRY MAGSTRIPE_FALLBACK MAGSTRIPE DIRECT_DEBIT \
CONTACTLESS MOTO CONTACTLESS_MAGSTRIPE N/A
    auth_code           text
"""
_IN_THE_HISTORY: Final = """
    product_summary     text
    payouts_total       integer
    payouts_received    integer
    payout_plan         one of SINGLE_PAYMENT TRUE_INSTALLMENT ACCELERATED_INSTALLMENT
"""
_EVENT: Final = """
    id                  integer
    status              one of FAILED PAID_OUT PENDING RECONCILED REFUNDED SCHEDULED SUCCESSFUL
    amount              number
    installment_number  integer
    timestamp           moment
"""
_CARD_TYPES: Final = (
    "ALELO AMEX CONECS CUP DINERS DISCOVER EFTPOS ELO ELV GIROCARD HIPERCARD INTERAC JCB MAESTRO MASTERCARD PLUXEE"
    " SWILE TICKET VISA VISA_ELECTRON VISA_VPAY VPAY VR UNKNOWN"
)

TABLES: Final[Mapping[str, str]] = {
    "Checkout": _CHECKOUT,
    "CheckoutSuccess": f"""{_CHECKOUT}
    transaction_code    text
    transaction_id      text
    merchant_name       text
    redirect_url        text
    payment_instrument  a PaymentInstrument
    """,
    "Attempt": _TRANSACTION + _AT_A_CHECKOUT,
    "Mandate": """
    type                text
    status              one of active inactive
    merchant_code       text
    """,
    "PaymentInstrument": "token text",
    "TransactionFull": f"""{_TRANSACTION}{_AT_A_CHECKOUT}{_IN_THE_HISTORY}
    foreign_transaction_id  text
    client_transaction_id   text
    username            text
    fee_amount          number
    lat                 number
    lon                 number
    horizontal_accuracy number
    merchant_id         integer
    device_info         anything
    simple_payment_type one of CASH CC_SIGNATURE ELV ELV_WITHOUT_SIGNATURE CC_CUSTOMER_ENTERED MANUAL_ENTRY EMV \
RECURRING BALANCE MOTO BOLETO APM BITCOIN CARD
    verification_method one of none signature offline_PIN online_PIN offline_PIN_+_signature na
    card                a Card
    elv_account         anything
    local_time          moment
    payout_date         day
    payout_type         one of BANK_ACCOUNT PREPAID_CARD
    process_as          one of CREDIT DEBIT
    products            list of Anything
    vat_rates           list of Anything
    transaction_events  list of TransactionEvent
    simple_status       one of SUCCESSFUL PAID_OUT CANCEL_FAILED CANCELLED CHARGEBACK FAILED REFUND_FAILED REFUNDED \
NON_COLLECTION PENDING
    links               list of Anything
    events              list of Event
    location            anything
    tax_enabled         boolean
    """,
    "Card": f"""
    last_4_digits       text 4
    type                one of {_CARD_TYPES}
    """,
    "TransactionEvent": f"""{_EVENT}
    event_type          one of PAYOUT CHARGE_BACK REFUND PAYOUT_DEDUCTION
    due_date            day
    date                day
    """,
    "Event": f"""{_EVENT}
    type                one of PAYOUT CHARGE_BACK REFUND PAYOUT_DEDUCTION
    transaction_id      text
    fee_amount          number
    deducted_amount     number
    deducted_fee_amount number
    """,
    "HistoryPage": """
    items               list of HistoryItem
    links               list of HistoryLink
    """,
    "HistoryItem": f"""{_TRANSACTION}{_IN_THE_HISTORY}
    transaction_id      text
    client_transaction_id   text
    user                text
    type                one of PAYMENT REFUND CHARGE_BACK
    card_type           one of {_CARD_TYPES}
    payout_date         day
    payout_type         one of BANK_ACCOUNT PREPAID_CARD
    refunded_amount     number
    """,
    "HistoryLink": """
    rel                 text !
    href                text !
    """,
    "Payout": """
    id                  integer !
    type                one of PAYOUT CHARGE_BACK_DEDUCTION REFUND_DEDUCTION DD_RETURN_DEDUCTION BALANCE_DEDUCTION !
    amount              number !
    date                day !
    currency            text !
    fee                 number !
    status              one of SUCCESSFUL FAILED !
    reference           text !
    transaction_code    text !
    """,
    "Memberships": """
    items               list of Membership !
    total_count         integer !
    """,
    "Membership": """
    id                  text !
    resource_id         text !
    type                text !
    roles               list of Text !
    permissions         list of Text !
    created_at          moment !
    updated_at          moment !
    invite              anything
    status              one of accepted pending expired disabled unknown !
    metadata            anything
    attributes          anything
    resource            a MembershipResource !
    """,
    "MembershipResource": """
    id                  text !
    type                text !
    name                text !
    logo                address 256
    created_at          moment !
    updated_at          moment !
    attributes          anything
    """,
    "Merchant": """
    merchant_code       text !
    organization_id     text
    business_type       text
    company             anything
    country             text 2 !
    business_profile    anything
    avatar              address
    alias               text
    default_currency    text 3 !
    default_locale      text 5 !
    sandbox             boolean
    meta                anything
    classic             anything
    version             text
    change_status       text
    created_at          moment !
    updated_at          moment !
    """,
    "Error": """
    message             text
    error_code          text
    """,
    "ErrorExtended": """
    message             text
    error_code          text
    param               text
    """,
    "ErrorForbidden": """
    error_message       text
    error_code          text
    status_code         text
    """,
    # A problem may have further fields, by its schema.
    "Problem": """
    type                address !
    title               text
    status              integer
    detail              text
    instance            address
    """,
    "Anything": "",
}

# Fields that the document's own examples show, or its text speaks of, and its schemas lack.
_BESIDES: Final[Mapping[str, frozenset[str]]] = {
    "Checkout": frozenset({"purpose", "merchant_name", "merchant_country", "hosted_checkout", "redirect_url"}),
    "CheckoutSuccess": frozenset({"purpose", "merchant_country", "hosted_checkout"}),
    "HistoryItem": frozenset({"merchant_code"}),
    "Problem": frozenset({"trace_id", "errors"}),
    # Seen in SumUp's sandbox.
    "Attempt": frozenset({"internal_id"}),
    "TransactionFull": frozenset({"internal_id"}),
}
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_FUTURE: Final = "A_VALUE_OF_THE_FUTURE"


@dataclass(frozen=True, slots=True)
class Field:
    """A line of a table. `kind` is text, number, integer, boolean, day, moment, …, or the name of another table."""

    name: str
    kind: str
    values: tuple[str, ...] = ()
    longest: int | None = None
    required: bool = False
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Variation:
    """An answer that SumUp may give. `field` is the one in which it differs, `how` absent, null, or the value."""

    field: str
    how: str
    document: dict[str, Any]


def fields_of(table: str) -> dict[str, Field]:
    """Return the fields of a table by their names."""
    lines = (line.split() for line in TABLES[table].splitlines() if line.strip())
    return {words[0]: _field(words) for words in lines}


def differences(document: object, table: str, place: str = "") -> list[str]:
    """Return how the answer, read with Decimals, departs from the table; each difference names its place."""
    if not isinstance(document, dict):
        return [f"{place or table}: no object"]
    fields, besides = fields_of(table), _BESIDES.get(table, frozenset())
    found = [f"{place}{name}: is missing" for name, field in fields.items() if field.required and name not in document]
    for name, value in document.items():
        if name in fields:
            found += _value_differences(value, fields[name], f"{place}{name}")
        elif name not in besides and table != "Anything":
            found.append(f"{place}{name}: is not in the document")
    return found


def example(table: str) -> dict[str, Any]:
    """Return an answer with every field of the table."""
    return {name: _example_value(field) for name, field in fields_of(table).items()}


def variations(document: Mapping[str, Any], table: str) -> Iterator[Variation]:
    """Give the answer with each field left out, null and with each of its values, and one with a field of the future.

    SumUp announces that fields are null more often than its schema says, and new values come to every list.
    """
    for name, field in fields_of(table).items():
        yield Variation(name, "absent", {key: value for key, value in document.items() if key != name})
        yield Variation(name, "null", {**document, name: None})
        for value in (*field.values, _FUTURE) if field.values else ():
            yield Variation(name, value, {**document, name: value})
    yield Variation("a_field_of_the_future", "new", {**document, "a_field_of_the_future": {"deep": [1, None]}})


def _field(words: list[str]) -> Field:
    name, marks = words[0], {word for word in words[1:] if word in {"!", "?"}}
    rest = [word for word in words[1:] if word not in marks]
    required, nullable = "!" in marks, "?" in marks
    if rest[:2] == ["one", "of"]:
        values = tuple(word.replace("_PIN", " PIN").replace("_+_", " + ") for word in rest[2:])
        return Field(name, "text", values=values, required=required, nullable=nullable)
    if rest[0] in {"a", "list"}:
        return Field(name, " ".join(rest), required=required, nullable=nullable)
    longest = int(rest[1]) if len(rest) > 1 else None
    return Field(name, rest[0], longest=longest, required=required, nullable=nullable)


def _value_differences(value: object, field: Field, place: str) -> list[str]:
    if value is None:
        return [] if field.nullable or field.kind == "anything" else [f"{place}: is null"]
    if field.kind.startswith("a "):
        return differences(value, field.kind.removeprefix("a "), f"{place}.")
    if field.kind.startswith("list of "):
        return _list_differences(value, field.kind.removeprefix("list of "), place)
    if not _is_of_kind(value, field.kind):
        return [f"{place}: {value!r} is no {field.kind}"]
    if field.values and value not in field.values:
        return [f"{place}: {value!r} is none of its values"]
    if field.longest is not None and isinstance(value, str) and len(value) > field.longest:
        return [f"{place}: has {len(value)} characters"]
    return []


def _list_differences(value: object, kind: str, place: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{place}: no list"]
    if kind == "Text":
        return [f"{place}: {item!r} is no text" for item in value if not isinstance(item, str)]
    return [each for number, item in enumerate(value) for each in differences(item, kind, f"{place}[{number}].")]


def _is_of_kind(value: object, kind: str) -> bool:
    match kind:
        case "anything":
            return True
        case "boolean":
            return isinstance(value, bool)
        case "number":
            return isinstance(value, Decimal) and value.is_finite()
        case "integer":
            return isinstance(value, Decimal) and value == value.to_integral_value()
    if not isinstance(value, str):
        return False
    try:
        match kind:
            case "code":
                return _CURRENCY.fullmatch(value) is not None
            case "address":
                return value.startswith(("http://", "https://"))
            case "day":
                return date.fromisoformat(value).isoformat() == value
            case "moment":
                return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
    return kind == "text"


def _example_value(field: Field) -> Any:
    if field.kind.startswith("a "):
        return example(field.kind.removeprefix("a "))
    if field.kind.startswith("list of "):
        kind = field.kind.removeprefix("list of ")
        return ["a text"] if kind == "Text" else [example(kind)]
    if field.values:
        return field.values[0]
    return {
        "text": "a text"[: field.longest],
        "number": Decimal("10.10"),
        "integer": Decimal(3),
        "boolean": True,
        "code": "GBP",
        "address": "https://shop.example/a",
        "day": "2026-05-01",
        "moment": "2026-05-01T10:56:56.876Z",
        "anything": {},
    }[field.kind]
