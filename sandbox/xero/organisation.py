"""One Xero organisation: its settings, chart of accounts and tax rates."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid4, uuid5
from zoneinfo import ZoneInfo

AccountType = Literal["SALES", "REVENUE", "OTHERINCOME", "BANK", "CURRENT", "CURRLIAB"]

#: Account types that a line of a sales document may be booked to.
LINE_TYPES = frozenset({"SALES", "REVENUE", "OTHERINCOME", "CURRENT", "CURRLIAB"})

_CLASS_OF = {"BANK": "ASSET", "CURRENT": "ASSET", "CURRLIAB": "LIABILITY"}

#: Xero names time zones in its own way; these are the ones that are useful here.
_ZONES = {
    "SOUTHAFRICASTANDARDTIME": "Africa/Johannesburg",
    "NEWZEALANDSTANDARDTIME": "Pacific/Auckland",
    "GMTSTANDARDTIME": "Europe/London",
    "UTC": "UTC",
}

_CREATED_AT = datetime(2020, 3, 1, 8, 0, tzinfo=UTC)


@dataclass(slots=True)
class Account:
    """One account of the chart."""

    code: str
    name: str
    type: AccountType
    tax_type: str = "NONE"
    takes_payments: bool = False
    status: str = "ACTIVE"
    system_account: str = ""
    account_id: str = ""

    @property
    def can_receive_payment(self) -> bool:
        """Whether a payment may be booked here: a bank, or opened for it."""
        return self.type == "BANK" or self.takes_payments

    def shape(self) -> dict[str, Any]:
        """Return the account as Xero shows it."""
        shape: dict[str, Any] = {
            "AccountID": self.account_id,
            "Code": self.code,
            "Name": self.name,
            "Status": self.status,
            "Type": self.type,
            "TaxType": self.tax_type,
            "Class": _CLASS_OF.get(self.type, "REVENUE"),
            "EnablePaymentsToAccount": self.takes_payments,
            "ShowInExpenseClaims": False,
            "ReportingCode": "",
            "HasAttachments": False,
            "UpdatedDateUTC": _CREATED_AT,
            "AddToWatchlist": False,
        }
        if self.type == "BANK":
            shape |= {"BankAccountNumber": "62000000001", "BankAccountType": "BANK"}
            shape |= {"CurrencyCode": "ZAR"}
        if self.system_account:
            shape["SystemAccount"] = self.system_account
        return shape


@dataclass(frozen=True, slots=True)
class TaxRate:
    """One tax rate, by the code that lines carry."""

    tax_type: str
    name: str
    rate: Decimal
    report_tax_type: str
    sells: bool = True
    status: str = "ACTIVE"

    def shape(self) -> dict[str, Any]:
        """Return the rate as Xero shows it."""
        rate = self.rate.quantize(Decimal("0.0001"))
        return {
            "Name": self.name,
            "TaxType": self.tax_type,
            "ReportTaxType": self.report_tax_type,
            "CanApplyToAssets": True,
            "CanApplyToEquity": True,
            "CanApplyToExpenses": not self.sells or self.tax_type == "NONE",
            "CanApplyToLiabilities": True,
            "CanApplyToRevenue": self.sells,
            "DisplayTaxRate": rate,
            "EffectiveRate": rate,
            "Status": self.status,
            "TaxComponents": [
                {
                    "Name": "VAT",
                    "Rate": rate,
                    "IsCompound": False,
                    "IsNonRecoverable": False,
                }
            ],
        }


def south_african_accounts() -> list[Account]:
    """Return the chart of a professional body."""
    return [
        Account("200", "Membership fees", "SALES", "OUTPUT3"),
        Account("205", "Application and joining fees", "SALES", "OUTPUT3"),
        Account("210", "Events and webinars", "SALES", "OUTPUT3"),
        Account("220", "Examination fees", "SALES", "OUTPUT3"),
        Account("230", "Products and publications", "SALES", "OUTPUT3"),
        Account("240", "Exempt education", "REVENUE", "EXEMPTOUTPUT"),
        Account("260", "Other revenue", "OTHERINCOME", "OUTPUT3"),
        Account("610", "Accounts receivable", "CURRENT", system_account="DEBTORS"),
        Account("620", "Card gateway clearing", "CURRENT", takes_payments=True),
        Account("820", "VAT", "CURRLIAB", system_account="GST"),
        Account("090", "Business bank account", "BANK"),
        Account("299", "Old membership fees", "SALES", "OUTPUT3", status="ARCHIVED"),
    ]


def south_african_tax_rates() -> list[TaxRate]:
    """Return the rates of Xero's table for South Africa that a body meets."""
    fifteen, fourteen, none = Decimal(15), Decimal(14), Decimal(0)
    return [
        TaxRate("OUTPUT3", "Standard Rate Sales", fifteen, "OUTPUT"),
        TaxRate("OUTPUT", "Standard Rate Sales (14%)", fourteen, "OUTPUT"),
        TaxRate("OUTPUT4", "Change in Use (15%)", fifteen, "OUTPUT"),
        TaxRate("SROUTPUT2", "Capital Goods Sales (15%)", fifteen, "SROUTPUT2"),
        TaxRate("ZERORATED", "Zero Rate (Excluding Goods Exported)", none, "ZROUTPUT"),
        TaxRate("ZERORATEDOUTPUT", "Zero Rate (Exported)", none, "ZERORATEDOUTPUT"),
        TaxRate("EXEMPTOUTPUT", "Exempt and Non-Supplies", none, "EXEMPTOUTPUT"),
        TaxRate("NONE", "No VAT", none, "NONE"),
        TaxRate("INPUT3", "Standard Rate Purchases", fifteen, "INPUT", sells=False),
    ]


@dataclass(slots=True)
class Organisation:
    """Settings of one organisation, as the control API may change them."""

    name: str = "Institute of Tax Practitioners"
    organisation_id: str = field(default_factory=lambda: str(uuid4()))
    base_currency: str = "ZAR"
    currencies: list[str] = field(default_factory=lambda: ["ZAR"])
    country_code: str = "ZA"
    timezone: str = "SOUTHAFRICASTANDARDTIME"
    version: str = "GLOBAL"
    period_lock_date: date | None = None
    end_of_year_lock_date: date | None = None
    accounts: list[Account] = field(default_factory=south_african_accounts)
    tax_rates: list[TaxRate] = field(default_factory=south_african_tax_rates)
    branding_themes: list[str] = field(
        default_factory=lambda: ["Standard", "Membership"]
    )
    offline: bool = False

    def __post_init__(self) -> None:
        for account in self.accounts:
            account.account_id = account.account_id or self._id_of(account.code)

    def _id_of(self, name: str) -> str:
        return str(uuid5(NAMESPACE_URL, f"{self.organisation_id}/{name}"))

    @property
    def zone(self) -> ZoneInfo:
        """The organisation's own time zone."""
        return ZoneInfo(_ZONES.get(self.timezone, "UTC"))

    def today(self, now: datetime) -> date:
        """Return the organisation's own date at a moment."""
        return now.astimezone(self.zone).date()

    def account(
        self, *, code: str | None = None, account_id: str | None = None
    ) -> Account | None:
        """Find an account by one of its names."""
        for account in self.accounts:
            if code is not None and account.code == code:
                return account
            if account_id is not None and account.account_id == account_id:
                return account
        return None

    def tax_rate(self, tax_type: str) -> TaxRate | None:
        """Find a rate by its code."""
        return next((r for r in self.tax_rates if r.tax_type == tax_type), None)

    def branding_theme_id(self, name: str) -> str:
        """Return the id of a theme, which never changes."""
        return self._id_of(f"branding/{name}")

    def branding_shapes(self) -> list[dict[str, Any]]:
        """Return the branding themes as Xero shows them."""
        return [
            {
                "BrandingThemeID": self.branding_theme_id(name),
                "Name": name,
                "Type": "INVOICE",
                "SortOrder": order,
                "CreatedDateUTC": _CREATED_AT,
            }
            for order, name in enumerate(self.branding_themes)
        ]

    def currency_shapes(self) -> list[dict[str, Any]]:
        """Return the enabled currencies as Xero shows them."""
        return [{"Code": code, "Description": code} for code in self.currencies]

    def shape(self) -> dict[str, Any]:
        """Return the organisation as Xero shows it."""
        shape: dict[str, Any] = {
            "APIKey": "SANDBOX",
            "Name": self.name,
            "LegalName": self.name,
            "PaysTax": True,
            "Version": self.version,
            "OrganisationType": "NOT_FOR_PROFIT",
            "BaseCurrency": self.base_currency,
            "CountryCode": self.country_code,
            "IsDemoCompany": False,
            "OrganisationStatus": "ACTIVE",
            "TaxNumber": "4000000000",
            "FinancialYearEndDay": 28,
            "FinancialYearEndMonth": 2,
            "SalesTaxBasis": "INVOICE",
            "SalesTaxPeriod": "TWOMONTHS",
            "DefaultSalesTax": "Tax Exclusive",
            "DefaultPurchasesTax": "Tax Exclusive",
            "CreatedDateUTC": _CREATED_AT,
            "OrganisationEntityType": "NOT_FOR_PROFIT",
            "Timezone": self.timezone,
            "ShortCode": "!sbox",
            "OrganisationID": self.organisation_id,
            "Edition": "BUSINESS",
            "Class": "PREMIUM",
            "Addresses": [],
            "Phones": [],
            "ExternalLinks": [],
            "PaymentTerms": {},
        }
        if self.period_lock_date:
            shape["PeriodLockDate"] = self.period_lock_date
        if self.end_of_year_lock_date:
            shape["EndOfYearLockDate"] = self.end_of_year_lock_date
        return shape
