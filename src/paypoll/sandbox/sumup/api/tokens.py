"""The token endpoint."""

from collections.abc import Mapping
from http import HTTPStatus

from paypoll.sandbox.sumup.exchange import Answer, answer
from paypoll.sandbox.sumup.keyring import Keyring, OAuthError, Tokens


def issue(keyring: Keyring, form: Mapping[str, str]) -> Answer:
    """Return the tokens that the form asks for."""
    try:
        tokens = keyring.exchange(
            form.get("grant_type", ""),
            form.get("client_id", ""),
            form.get("client_secret", ""),
            form.get("refresh_token", ""),
        )
    except OAuthError as error:
        status = HTTPStatus.UNAUTHORIZED if error.code == "invalid_client" else HTTPStatus.BAD_REQUEST
        return answer({"error": error.code, "error_description": "The token request was refused."}, status)
    return answer(_document(tokens))


def _document(tokens: Tokens) -> dict[str, object]:
    document: dict[str, object] = {
        "access_token": tokens.access_token,
        "token_type": "Bearer",
        "expires_in": tokens.life,
        "scope": " ".join(sorted(tokens.scopes)),
    }
    return document | ({"refresh_token": tokens.refresh_token} if tokens.refresh_token is not None else {})
