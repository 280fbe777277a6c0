"""Every technical setting, in one place.

Read from a TOML file (``--config``, else ``SETTLED_CONFIG``, else ``settled.toml`` in
the working directory if it exists) and from the environment, which wins:
``SETTLED_XERO__CLIENT_ID`` is ``[xero] client_id``. Prices, account codes and tax types
are not settings: they are rows with a date of effect (``settled prices import``).
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from core.agreeing import Side
from core.errors import SettingsInvalid
from core.names_taken import check_pattern
from core.off_peak import read_hours
from core.quota import DEFAULT_RESERVES, Limits, Purpose, QuotaPolicy, Reserve

#: What the daemon reads and writes, and no more (facts/xero.md, Granular scopes).
SCOPES = (
    "offline_access",
    "accounting.invoices",
    "accounting.payments",
    "accounting.contacts",
    "accounting.settings.read",
)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{name} is not a time zone") from error
    return name


def _filled(pattern: str, **values: str) -> str:
    try:
        return pattern.format(**values)
    except (KeyError, IndexError, ValueError) as error:
        names = ", ".join(f"{{{name}}}" for name in values)
        raise ValueError(f"may hold {names} and nothing else in braces") from error


def _subject_pattern(pattern: str) -> str:
    # Xero refuses an address that names it (facts/xero.md, section 6).
    if not _filled(pattern, subject="x").startswith("https://") or "xero" in pattern:
        raise ValueError("must be an https address without the word xero")
    return pattern


def _hours(window: str) -> str:
    read_hours(window)
    return window


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BusSettings(_Table):
    """``[bus]``: the two streams that the platform touches."""

    stream_in: str = "settled:in"
    stream_out: str = "settled:out"
    #: Consumer groups of ``stream_out``; the first is the platform's.
    groups: tuple[str, ...] = Field(default=("platform",), min_length=1)
    #: A longer entry is rejected.
    message_max_bytes: int = Field(default=262_144, ge=1_024)
    #: Also listen on this loopback port, when Redis is the embedded one.
    embedded_port: int | None = Field(default=None, ge=1, le=65_535)


class WebSettings(_Table):
    """``[web]``: two listeners, the public one for Xero and browsers."""

    public_host: str = "127.0.0.1"
    public_port: int = Field(default=8_080, ge=0, le=65_535)
    internal_host: str = "127.0.0.1"
    internal_port: int = Field(default=8_081, ge=0, le=65_535)


class RolesSettings(_Table):
    """``[roles]``: processes of ``settled run --role``, and where each is watched."""

    #: Internal ports, in the place of ``web.internal_port``.
    web_port: int = Field(default=8_081, ge=0, le=65_535)
    intake_port: int = Field(default=8_082, ge=0, le=65_535)
    relay_port: int = Field(default=8_083, ge=0, le=65_535)
    pump_port: int = Field(default=8_084, ge=0, le=65_535)
    #: Each worker process takes the first free one from here on.
    worker_port: int = Field(default=8_085, ge=0, le=65_535)
    worker_processes: int = Field(default=2, ge=1, le=64)


class XeroSettings(_Table):
    """``[xero]``: the app as registered with Xero, and where Xero is."""

    client_id: str = ""
    #: None for an app of the PKCE type, which has none.
    client_secret: SecretStr | None = None
    redirect_uri: str = "http://localhost:8080/oauth/callback"
    scopes: tuple[str, ...] = SCOPES
    #: ``client_credentials`` only where Xero offers custom connections (not in ZA).
    grant: Literal["authorization_code", "client_credentials"] = "authorization_code"
    #: Two during a rotation; none: the webhook endpoint is off.
    webhook_keys: Annotated[tuple[SecretStr, ...], Field(max_length=2)] = ()
    authorize_url: str = "https://login.xero.com/identity/connect/authorize"
    token_url: str = "https://identity.xero.com/connect/token"  # noqa: S105 an address
    connections_url: str = "https://api.xero.com/connections"
    api_url: str = "https://api.xero.com/api.xro/2.0"
    connect_timeout_s: int = Field(default=5, ge=1, le=30)
    #: With the connect timeout it stays under the quota's call lease of 130 s.
    read_timeout_s: int = Field(default=60, ge=1, le=120)

    @property
    def is_live(self) -> bool:
        """Whether calls go to Xero itself."""
        return ".xero.com/" in self.api_url


class ReserveSettings(_Table):
    """``[quota.reserves.<purpose>]``: what this purpose leaves to those before it."""

    minute: int = Field(ge=0)
    concurrent: int = Field(ge=0)
    day_share: float = Field(ge=0, lt=1)


class QuotaSettings(_Table):
    """``[quota]``: Xero's limits for this app; 0 means lifted.

    ``day`` is 1,000 on Xero's Starter tier and 5,000 above it.
    """

    minute: int = Field(default=60, ge=0)
    day: int = Field(default=5_000, ge=0)
    concurrent: int = Field(default=5, ge=1)
    app_minute: int = Field(default=10_000, ge=0)
    emails_per_day: int = Field(default=1_000, ge=0)
    #: Of those, what a season leaves to invoices that somebody waits for.
    emails_reserve: float = Field(default=0.05, ge=0, lt=1)
    #: Reads for payments, and calls for whoever waits, that a usual day brings.
    awaited_per_day: int = Field(default=0, ge=0)
    #: When bulk may call, in the organisation's zone; None: at any time.
    bulk_hours: Annotated[str, AfterValidator(_hours)] | None = None
    reserves: dict[Purpose, ReserveSettings] = Field(default_factory=dict)

    def emails_at_most(self, *, is_awaited: bool) -> int | None:
        """In 24 hours, of those that somebody waits for or of the others; None: any."""
        limit = self.emails_per_day
        if not limit:
            return None
        return limit if is_awaited else math.ceil(limit * (1 - self.emails_reserve))

    def policy(self) -> QuotaPolicy:
        limits = Limits(
            minute=self.minute or None,
            day=self.day or None,
            concurrent=self.concurrent,
            app_minute=self.app_minute or None,
        )
        reserves = dict(DEFAULT_RESERVES)
        for purpose, table in self.reserves.items():
            reserves[purpose] = Reserve(table.minute, table.concurrent, table.day_share)
        return QuotaPolicy(limits, reserves)


class WinsSettings(_Table):
    """``[tenants.<alias>.wins]``: whose value holds where both sides changed it."""

    name: Side = Side.PLATFORM
    email: Side = Side.PLATFORM
    phone: Side = Side.PLATFORM
    address: Side = Side.PLATFORM
    tax_number: Side = Side.PLATFORM
    company_number: Side = Side.PLATFORM


class TenantSettings(_Table):
    """``[tenants.<alias>]``: one Xero organisation."""

    #: Xero's id of it; needed when the connection reaches more than one.
    tenant_id: str | None = None
    zone: Annotated[str, AfterValidator(_zone)] = "Africa/Johannesburg"
    #: What a newcomer is called whose name Xero refuses as taken; or ``quarantine``.
    name_taken: Annotated[str, AfterValidator(check_pattern)] = "{name} ({member_id})"
    #: Mail domains that ignore what follows a plus: jan+tax@… is jan@… there.
    plus_tag_domains: tuple[str, ...] = ()
    #: Where an invoice's Url field points: the member's page on the platform.
    subject_url: Annotated[str, AfterValidator(_subject_pattern)] | None = None
    #: What becomes of an invoice whose contact is archived in Xero.
    archived_contact: Literal["hold", "restore"] = "hold"
    wins: WinsSettings = WinsSettings()

    def winner(self, field: str) -> Side:
        """Whose value of a contact's field holds; what only Xero says is Xero's."""
        side: Side = getattr(self.wins, field, Side.XERO)
        return side

    @property
    def zone_info(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


class SweepSettings(_Table):
    """``[sweep]``: reading Xero for what webhooks did not tell."""

    invoices_every_s: int = Field(default=900, ge=1)
    contacts_every_s: int = Field(default=3_600, ge=1)
    reference_every_s: int = Field(default=86_400, ge=60)


class Settings(BaseSettings):
    """All of it."""

    model_config = SettingsConfigDict(
        env_prefix="SETTLED_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    #: Embedded Redis, SQLite and generated keys live here.
    data_folder: Path = Path("data")
    #: ``sqlite:///path`` or ``postgresql://…``; None: SQLite in the data folder.
    database_url: SecretStr | None = None
    #: None: an embedded server in the data folder.
    redis_url: SecretStr | None = None
    #: Fernet keys, newest first; none: one is made and kept in the data folder.
    token_keys: tuple[SecretStr, ...] = ()
    worker_threads: int = Field(default=8, ge=2, le=64)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    bus: BusSettings = BusSettings()
    web: WebSettings = WebSettings()
    roles: RolesSettings = RolesSettings()
    xero: XeroSettings = XeroSettings()
    quota: QuotaSettings = QuotaSettings()
    sweep: SweepSettings = SweepSettings()
    tenants: dict[str, TenantSettings] = Field(
        default_factory=lambda: {"main": TenantSettings()}, min_length=1
    )
    #: Each workflow's own table, read by the workflow's model.
    plugins: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @property
    def sole_tenant(self) -> str | None:
        """The tenant of a message that names none; None when there are several."""
        return next(iter(self.tenants)) if len(self.tenants) == 1 else None


def config_file(given: Path | None, environment: Mapping[str, str]) -> Path | None:
    """Which file to read; None: only the environment.

    Raises:
        SettingsInvalid: a named file does not exist.
    """
    named = given or (
        Path(environment["SETTLED_CONFIG"]) if "SETTLED_CONFIG" in environment else None
    )
    if named is None:
        default = Path("settled.toml")
        return default if default.exists() else None
    if not named.is_file():
        raise SettingsInvalid("--config", f"there is no file {named}")
    return named


def load_settings(given: Path | None = None) -> Settings:
    """The settings from file and environment.

    Raises:
        SettingsInvalid: naming the first setting that is wrong.
    """
    path = config_file(given, os.environ)
    return settings_from(_read_toml(path) if path else {})


def settings_from(values: Mapping[str, Any]) -> Settings:
    """The settings from these values and the environment."""
    if "REDIS_URL" in os.environ and "redis_url" not in values:
        values = {**values, "redis_url": os.environ["REDIS_URL"]}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError, table: str = "") -> SettingsInvalid:
    """The first thing that is wrong, without the value, which may be a secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(part for part in (table, *map(str, first["loc"])) if part)
    return SettingsInvalid(name or "settings", first["msg"])


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return dict(TomlConfigSettingsSource(Settings, path)())
    except ValueError as error:
        raise SettingsInvalid(str(path), f"not TOML: {error}") from None
