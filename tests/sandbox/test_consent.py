from datetime import timedelta

import httpx
import pytest

from sandbox import App, Sandbox, SimulatedClock, browser
from tests.sandbox.caller import (
    Caller,
    answer_of,
    authorize_url,
    code_for,
    verifier_and_challenge,
)


def exchange(xero: Sandbox, **form: str) -> httpx.Response:
    fields = {
        "grant_type": "authorization_code",
        "redirect_uri": xero.redirect_uris[0],
    } | form
    auth = (xero.client_id, xero.client_secret or "")
    return httpx.post(f"{xero.url}/connect/token", data=fields, auth=auth)


def error_of(answer: httpx.Response) -> object:
    assert answer.status_code == 400
    return answer.json()["error"]


def test_consent_page_names_the_app_and_its_scopes(xero: Sandbox) -> None:
    page = httpx.get(authorize_url(xero)).text
    assert "settled wants access" in page
    assert "accounting.invoices" in page


def test_approval_returns_a_code_and_the_state(xero: Sandbox) -> None:
    location = browser.consent_redirect(authorize_url(xero, state="a b/&"))
    answer = answer_of(location)
    assert location.startswith(xero.redirect_uris[0])
    assert answer["state"] == "a b/&"
    assert answer["code"]


def test_refusal_returns_access_denied_and_the_state(xero: Sandbox) -> None:
    location = browser.consent_redirect(authorize_url(xero), approve=False)
    assert answer_of(location) == {"error": "access_denied", "state": "some state"}


def test_without_a_state_none_is_returned(xero: Sandbox) -> None:
    location = browser.consent_redirect(authorize_url(xero, state=None))
    assert "state" not in answer_of(location)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "somebody else"}, "unauthorized_client"),
        ({"redirect_uri": "http://localhost:8080/other"}, "Invalid redirect_uri"),
        ({"redirect_uri": None}, "Invalid redirect_uri"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "accounting.everything"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "accounting.transactions"}, "invalid_scope"),
        ({"scope": "accounting.reports.read"}, "invalid_scope"),
        ({"code_challenge": "x", "code_challenge_method": "plain"}, "S256"),
    ],
)
def test_a_wrong_request_ends_on_an_error_page(
    xero: Sandbox, changes: dict[str, str | None], error: str
) -> None:
    answer = browser.consent(authorize_url(xero, **changes))
    assert answer.status_code == 400
    assert error in answer.text


def test_an_old_app_may_ask_for_broad_scopes(clock: SimulatedClock) -> None:
    with Sandbox(clock=clock, app=App(has_broad_scopes=True)) as xero:
        assert code_for(xero, scope="accounting.transactions")


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:8080/x", "http://example.com/x", "ftp://localhost/x"]
)
def test_xero_does_not_register_such_a_redirect_uri(uri: str) -> None:
    with pytest.raises(ValueError, match="redirect URI"):
        App(redirect_uris=[uri])


def test_https_and_localhost_can_be_registered() -> None:
    uris = ["https://example.com/x", "http://localhost:1/x"]
    assert App(redirect_uris=uris).redirect_uris == uris


def test_a_redirect_uri_can_be_registered_later(xero: Sandbox) -> None:
    xero.control.register_redirect_uris("http://localhost:9/later")
    assert code_for(xero, redirect_uri="http://localhost:9/later")


def test_browser_follows_back_to_the_app(xero: Sandbox) -> None:
    callback = xero.url.replace("127.0.0.1", "localhost") + "/"
    xero.control.register_redirect_uris(callback)
    answer = xero.consent(authorize_url(xero, redirect_uri=callback))
    assert answer.status_code == 200
    assert "code" in answer_of(str(answer.url))


def test_a_code_becomes_tokens(xero: Sandbox) -> None:
    answer = exchange(xero, code=code_for(xero)).json()
    assert answer["expires_in"] == 1_800
    assert "Bearer" in answer.values()
    assert answer["access_token"].count(".") == 2
    assert answer["refresh_token"]
    assert "accounting.invoices" in answer["scope"].split()


def test_a_code_is_good_once(xero: Sandbox) -> None:
    code = code_for(xero)
    assert exchange(xero, code=code).is_success
    assert error_of(exchange(xero, code=code)) == "invalid_grant"


def test_a_code_lasts_five_minutes(xero: Sandbox, clock: SimulatedClock) -> None:
    fresh, stale = code_for(xero), code_for(xero)
    clock.advance(299)
    assert exchange(xero, code=fresh).is_success
    clock.advance(1)
    assert error_of(exchange(xero, code=stale)) == "invalid_grant"


def test_a_code_belongs_to_its_redirect_uri(xero: Sandbox) -> None:
    answer = exchange(xero, code=code_for(xero), redirect_uri="http://localhost:1/")
    assert error_of(answer) == "invalid_grant"


def test_the_secret_may_stand_in_the_form(xero: Sandbox) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": code_for(xero),
        "redirect_uri": xero.redirect_uris[0],
        "client_id": xero.client_id,
        "client_secret": xero.client_secret or "",
    }
    assert httpx.post(f"{xero.url}/connect/token", data=form).is_success


def test_a_wrong_secret_is_refused(xero: Sandbox) -> None:
    form = {"grant_type": "authorization_code", "code": code_for(xero)}
    answer = httpx.post(
        f"{xero.url}/connect/token", data=form, auth=(xero.client_id, "wrong")
    )
    assert error_of(answer) == "invalid_client"


def test_an_unknown_grant_type_is_refused(xero: Sandbox) -> None:
    answer = exchange(xero, grant_type="password")
    assert error_of(answer) == "unsupported_grant_type"


def test_a_pkce_app_proves_itself_without_a_secret(clock: SimulatedClock) -> None:
    verifier, challenge = verifier_and_challenge()
    with Sandbox(clock=clock, app=App(client_secret=None)) as xero:
        code = code_for(xero, code_challenge=challenge, code_challenge_method="S256")
        form = {
            "grant_type": "authorization_code",
            "client_id": xero.client_id,
            "code": code,
            "redirect_uri": xero.redirect_uris[0],
            "code_verifier": verifier,
        }
        tokens = httpx.post(f"{xero.url}/connect/token", data=form).json()
        again = {
            "grant_type": "refresh_token",
            "client_id": xero.client_id,
            "refresh_token": tokens["refresh_token"],
        }
        assert httpx.post(f"{xero.url}/connect/token", data=again).is_success


def test_a_pkce_app_must_send_a_challenge(clock: SimulatedClock) -> None:
    with Sandbox(clock=clock, app=App(client_secret=None)) as xero:
        answer = browser.consent(authorize_url(xero))
        assert "code_challenge is missing" in answer.text


@pytest.mark.parametrize("verifier", ["", "short", "x" * 43, "y" * 129])
def test_a_verifier_that_does_not_match_is_refused(
    xero: Sandbox, verifier: str
) -> None:
    _, challenge = verifier_and_challenge()
    code = code_for(xero, code_challenge=challenge, code_challenge_method="S256")
    answer = exchange(xero, code=code, code_verifier=verifier)
    assert error_of(answer) == "invalid_grant"


def test_client_credentials_need_a_custom_connection(xero: Sandbox) -> None:
    answer = exchange(xero, grant_type="client_credentials", scope="x")
    assert error_of(answer) == "unauthorized_client"


def test_a_custom_connection_needs_no_consent(clock: SimulatedClock) -> None:
    with Sandbox(clock=clock, app=App(is_custom_connection=True)) as xero:
        tokens = exchange(
            xero, grant_type="client_credentials", scope="accounting.settings.read"
        ).json()
        assert "refresh_token" not in tokens
        answer = httpx.get(
            f"{xero.api_url}/Organisation",
            headers={
                "Authorization": f"Bearer {tokens['access_token']}",
                "Accept": "application/json",
            },
        )
        assert answer.json()["Organisations"][0]["CountryCode"] == "ZA"


def test_each_refresh_rotates_the_token(app: Caller) -> None:
    first = app.refresh().json()
    assert first["refresh_token"] != app.tokens["refresh_token"]
    second = app.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]


def test_an_old_token_may_be_tried_again_for_thirty_minutes(
    app: Caller, clock: SimulatedClock
) -> None:
    assert app.refresh().is_success
    clock.advance(timedelta(minutes=30).total_seconds() - 1)
    assert app.refresh().is_success
    clock.advance(1)
    assert error_of(app.refresh()) == "invalid_grant"


def test_an_unused_refresh_token_lasts_sixty_days(
    app: Caller, clock: SimulatedClock
) -> None:
    clock.advance(timedelta(days=60).total_seconds() - 1)
    renewed = app.refresh()
    assert renewed.is_success
    clock.advance(timedelta(days=60).total_seconds())
    assert error_of(app.refresh(renewed.json()["refresh_token"])) == "invalid_grant"


def test_without_offline_access_there_is_no_refresh_token(xero: Sandbox) -> None:
    code = code_for(xero, scope="accounting.contacts")
    assert "refresh_token" not in exchange(xero, code=code).json()


def test_openid_brings_an_id_token(xero: Sandbox) -> None:
    code = code_for(xero, scope="openid profile email")
    assert exchange(xero, code=code).json()["id_token"]


def test_revocation_ends_tokens_and_connections(app: Caller) -> None:
    answer = httpx.post(
        f"{app.xero.url}/connect/revocation",
        data={"token": app.tokens["refresh_token"]},
        auth=(app.xero.client_id, app.xero.client_secret or ""),
    )
    assert answer.status_code == 200
    assert error_of(app.refresh()) == "invalid_grant"
    assert app.get("Organisation").status_code == 401
    assert app.xero.service.identity.connections == {}


def test_revoking_an_unknown_token_changes_nothing(app: Caller) -> None:
    answer = httpx.post(
        f"{app.xero.url}/connect/revocation",
        data={"token": "unknown"},
        auth=(app.xero.client_id, app.xero.client_secret or ""),
    )
    assert answer.status_code == 200
    assert app.refresh().is_success


def test_connections_name_the_tenant(app: Caller) -> None:
    answer = app.http.get(f"{app.xero.url}/connections", headers=app.headers())
    (connection,) = answer.json()
    assert connection["tenantId"] == app.tenant_id
    assert connection["tenantType"] == "ORGANISATION"
    assert connection["createdDateUtc"].startswith("2026-11-20T08:00:00")


def test_connections_can_be_filtered_by_consent(app: Caller) -> None:
    url = f"{app.xero.url}/connections"
    other = {"authEventId": "00000000-0000-0000-0000-000000000000"}
    assert app.http.get(url, headers=app.headers(), params=other).json() == []


def test_a_second_consent_keeps_the_connection(app: Caller) -> None:
    with Caller(app.xero):
        answer = app.http.get(f"{app.xero.url}/connections", headers=app.headers())
        assert len(answer.json()) == 1


def test_a_disconnected_organisation_is_forbidden(app: Caller) -> None:
    url = f"{app.xero.url}/connections"
    (connection,) = app.http.get(url, headers=app.headers()).json()
    gone = app.http.delete(f"{url}/{connection['id']}", headers=app.headers())
    assert gone.status_code == 204
    answer = app.get("Organisation")
    assert answer.status_code == 403
    assert answer.json()["Detail"] == "AuthenticationUnsuccessful"
    assert app.http.get(url, headers=app.headers()).json() == []


def test_an_unknown_connection_is_not_found(app: Caller) -> None:
    url = f"{app.xero.url}/connections/unknown"
    assert app.http.delete(url, headers=app.headers()).status_code == 404


def test_connections_want_a_token(xero: Sandbox) -> None:
    assert httpx.get(f"{xero.url}/connections").status_code == 401


def test_discovery_names_the_addresses(xero: Sandbox) -> None:
    found = httpx.get(f"{xero.url}/.well-known/openid-configuration").json()
    assert found["token_endpoint"] == f"{xero.url}/connect/token"
    assert found["revocation_endpoint"] == f"{xero.url}/connect/revocation"
