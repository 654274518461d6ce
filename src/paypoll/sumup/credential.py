"""The platform's credential, as the settings have it: an API key, or a client that fetches tokens."""

from paypoll.clock import Clock
from paypoll.settings.model import SumUpSettings
from paypoll.sumup.auth import ApiKey, ClientCredentials, Credential
from paypoll.sumup.token_file import TokenFile


def platform_credential(sumup: SumUpSettings, clock: Clock) -> Credential:
    """Return the credential that answers for the platform's own checkouts."""
    if sumup.api_key is not None:
        return ApiKey(sumup.api_key.reveal(), merchant_code=sumup.merchant_code)
    if sumup.client_secret is None:
        raise AssertionError("the settings have made sure that there is a credential")
    store = None
    if sumup.token_cache is not None:
        store = TokenFile(sumup.token_cache, base_url=sumup.base_url, client_id=sumup.client_id)
    secret = sumup.client_secret.reveal()
    return ClientCredentials(sumup.client_id, secret, clock, store=store, merchant_code=sumup.merchant_code)
