"""All settings, and the only place that reads the environment.

A setting comes from the environment (prefix `STROP_`), else from `strop.toml` in the working
directory, else from its default here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from backend.errors import InvalidInput

DEMO_BASE = str(Path(__file__).parents[1] / "training" / "demo" / "base")
LEAST_SECRET = 32
LEASE_SECONDS = 600
MAKE_SECRET = 'export STROP_SECRET="$(openssl rand -base64 48)"'
LOCAL_ADDRESSES = frozenset({"127.0.0.1", "::1", "localhost"})


class Settings(BaseSettings):
    """Settings of one Strop installation."""

    model_config = SettingsConfigDict(
        env_prefix="STROP_", toml_file="strop.toml", extra="forbid", frozen=True
    )

    home: Path = Field(Path(".strop"), description="Folder for the database, adapters and runs.")
    database_url: str | None = Field(
        None, repr=False, description="SQLAlchemy URL; default is SQLite at HOME/strop.db."
    )
    artifact_root: Path | None = Field(
        None, description="Adapters are read only below this folder; default is HOME/artifacts."
    )
    base_model: str = Field(
        DEMO_BASE,
        description="Path or hub name of the base model of new projects; default: the demo's.",
    )
    engine: str = Field(
        "local", description="Engine used when none is named: local, vllm or openai."
    )
    vllm_url: str = Field(
        "http://127.0.0.1:8000",
        description="Address of the vLLM server; several are separated by commas.",
    )
    vllm_api_key: SecretStr | None = Field(None, description="Bearer token of the vLLM server.")
    vllm_concurrency: int = Field(32, ge=1, description="Requests in flight to one vLLM server.")
    openai_url: str | None = Field(
        None,
        description="Address of the server of models served elsewhere, such as "
        "http://127.0.0.1:8000/v1; several are separated by commas. Texts are sent there.",
    )
    openai_api_key: SecretStr | None = Field(
        None,
        description="Its key; for several addresses as many, separated by commas, in their order. "
        "For https://api.openai.com alone the default is OPENAI_API_KEY.",
    )
    openai_concurrency: int = Field(
        8, ge=1, description="Requests in flight to one server of models served elsewhere."
    )
    openai_timeout_seconds: float = Field(
        600.0, gt=0, description="Longest time for one answer of a model served elsewhere."
    )
    openai_stream: bool = Field(
        False,
        description="Have those answers streamed, for servers behind a gateway that cuts silence.",
    )
    spot_check: bool = Field(
        True,
        description="Compare vLLM with PEFT in the worker at every preflight; it loads the base.",
    )
    batch_size: int = Field(32, ge=1, description="Prompts per batch of the local engine.")
    torch_threads: int | None = Field(
        None, ge=1, description="CPU threads of the local engine and of training; default is all."
    )
    host: str = Field("127.0.0.1", description="Address that the server binds to.")
    port: int = Field(8500, ge=0, le=65535, description="Port of dashboard and API; 0 picks one.")
    api_url: str | None = Field(
        None, description="Where the dashboard finds the API; default is the same server."
    )
    training_processes: int = Field(
        1, ge=1, description="Processes that train together, one a GPU, started by accelerate."
    )
    price_per_hour: float | None = Field(
        None, ge=0, description="What an hour of the training machine costs, in any currency."
    )
    secret: SecretStr | None = Field(
        None,
        description="At least 32 bytes, from which the key is derived that seals webhook secrets "
        "and kept answers; any address other than 127.0.0.1 requires it. Without it the key lies "
        "in HOME/secret.key.",
    )
    dossier_key: SecretStr | None = Field(
        None,
        description="Private key that signs dossiers (Ed25519), 64 hex digits; without it the key "
        "lies in HOME/dossier.key.",
    )
    masking_key: SecretStr | None = Field(
        None,
        description="At least 32 bytes, from which surrogates of masked texts are drawn and their "
        "originals encrypted. Several are separated by commas: the first is used, all open.",
    )
    trusted_proxies: str | None = Field(
        None,
        description="Addresses or networks of the proxies, with commas, whose X-Forwarded-For and "
        "X-Forwarded-Proto are believed; default is nobody's.",
    )
    public_url: str | None = Field(
        None,
        description="Address at which browsers reach this server, such as https://strop.clinic.de; "
        "a provider's redirections and the links of resets begin with it. Default is HOST and "
        "PORT.",
    )
    passwords: Literal["on", "off", "admins-only"] = Field(
        "on", description="Who may sign in by a password: on (everybody), off, admins-only."
    )
    second_factor: Literal["offered", "admins", "everybody"] = Field(
        "offered",
        description="Who must have an authenticator beside the password: offered (whoever wants, "
        "and whom an admin names), admins, everybody.",
    )
    oidc_issuer: str | None = Field(
        None, description="Issuer of the OpenID provider, letter by letter as its document has it."
    )
    oidc_client_id: str | None = Field(None, description="Strop's client id there.")
    oidc_client_secret: SecretStr | None = Field(
        None, description="Its secret; none for a public client, which PKCE protects."
    )
    oidc_client_secret_file: Path | None = Field(
        None, description="File with that secret, instead of the secret itself."
    )
    oidc_label: str = Field(
        "your organisation", max_length=60, description="What the button says: Sign in with ..."
    )
    oidc_scopes: str = Field("openid profile", description="What is asked for, with blanks.")
    oidc_groups_claim: str = Field(
        "groups",
        description="Claim that lists a person's groups; dots lead inwards: realm_access.roles.",
    )
    oidc_name_claim: str = Field(
        "preferred_username", description="Claim that names a new person here."
    )
    oidc_roles: dict[str, Literal["admin", "lead", "engineer", "expert"]] = Field(
        {},
        description='The role of each group, as JSON: {"ward 3": "expert"}; of several the '
        "highest. Who has none of these groups has no access.",
    )
    oidc_projects: dict[str, list[str]] = Field(
        {}, description='The projects of each group, as JSON: {"ward 3": ["notes"]}.'
    )
    oidc_token_days: int = Field(
        30,
        ge=1,
        description="Days after a person's last sign-in at the provider for which their tokens of "
        "programs work.",
    )
    oidc_timeout_seconds: float = Field(
        10.0, gt=0, description="Longest time for one answer of the provider."
    )
    session_hours: int = Field(12, ge=1, description="Hours until a person has to sign in again.")
    session_idle_minutes: int = Field(
        120, ge=1, description="Minutes without a request after which a person has to sign in."
    )
    lease_seconds: int = Field(LEASE_SECONDS, ge=5, description="Life of a review lease.")
    worker_poll_seconds: float = Field(
        1.0,
        gt=0,
        description="How often a worker looks for queued rows; on SQLite each commit wakes it too.",
    )
    executor: Literal["local", "ray"] = Field(
        "local",
        description="Where scoring and other pure work over chunks is done: on the processors of "
        "this machine, or on a Ray cluster (extra ray).",
    )
    processes: int | None = Field(
        None,
        ge=1,
        description="Processes that the local executor may use, and the Ray that is started here; "
        "default is all processors.",
    )
    ray_address: str | None = Field(
        None,
        description="The Ray cluster of the executor ray: auto (the one that this machine is a "
        "node of), HOST:PORT of its head, or ray://HOST:10001; without it a Ray is started on this "
        "machine and ended with the process.",
    )
    executor_id: str = Field(
        "worker-1", description="Name of this worker process; two workers need two names."
    )
    metrics: str | None = Field(
        None,
        description="Metrics with code or hub models that projects may use, with commas: "
        "evaluate:wer.",
    )
    webhook_private: bool = Field(
        False, description="Webhooks may go to loopback, private and link-local addresses."
    )
    backup_key: SecretStr | None = Field(
        None,
        description="At least 12 characters: the passphrase of strop backup --encrypt and of "
        "restoring what it wrote; asked for where it is not set.",
    )
    max_row_bytes: int = Field(
        8_000_000, ge=1000, description="Longest row that an import accepts, in bytes."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @model_validator(mode="after")
    def _closed_by_default(self) -> Settings:
        if self.secret is not None and len(self.secret.get_secret_value().encode()) < LEAST_SECRET:
            raise ValueError(f"STROP_SECRET has fewer than {LEAST_SECRET} bytes: {MAKE_SECRET}")
        if self.host not in LOCAL_ADDRESSES and self.secret is None:
            raise ValueError(
                f"host {self.host} can be reached from other machines: set STROP_SECRET first: "
                f"{MAKE_SECRET}"
            )
        for network in self.proxies:
            ip_network(network, strict=False)
        return self

    @model_validator(mode="after")
    def _a_way_in(self) -> Settings:
        if self.public_url is not None and not _is_origin(self.public_url):
            raise ValueError("STROP_PUBLIC_URL is an address without a path: https://HOST")
        if self.oidc_issuer is None:
            if self.passwords == "off":
                raise ValueError("passwords are off and no STROP_OIDC_ISSUER is set: no way in")
            return self
        issuer = urlsplit(self.oidc_issuer)
        local = issuer.scheme == "http" and issuer.hostname in LOCAL_ADDRESSES
        if not (issuer.scheme == "https" or local) or issuer.query or issuer.fragment:
            raise ValueError("STROP_OIDC_ISSUER is an https address without query and fragment")
        if self.oidc_client_id is None:
            raise ValueError("STROP_OIDC_ISSUER needs STROP_OIDC_CLIENT_ID")
        if not self.oidc_roles:
            raise ValueError("STROP_OIDC_ISSUER needs STROP_OIDC_ROLES: without, nobody has a role")
        if "openid" not in self.oidc_scopes.split():
            raise ValueError("STROP_OIDC_SCOPES lacks openid")
        if self.oidc_client_secret is not None and self.oidc_client_secret_file is not None:
            raise ValueError("set STROP_OIDC_CLIENT_SECRET or its file, not both")
        return self

    @property
    def address(self) -> str:
        """Where browsers reach this server, without a slash at its end."""
        if self.public_url is not None:
            return self.public_url.rstrip("/")
        name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(self.host, self.host)
        return f"http://{name}:{self.port}"

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.database_url or sqlite_url(self.home / "strop.db")

    @property
    def shown_url(self) -> str:
        """The URL of the database as it may be printed: without its password."""
        from sqlalchemy import make_url

        return make_url(self.url).render_as_string(hide_password=True)

    @property
    def database_file(self) -> Path | None:
        """The file of a SQLite database; None of another one, or of one in memory."""
        return sqlite_file(self.url)

    @property
    def artifacts(self) -> Path:
        """The resolved folder below which adapters must lie."""
        return (self.artifact_root or self.home / "artifacts").resolve()

    @property
    def idle(self) -> timedelta:
        """How long a browser may be still and stay signed in."""
        return timedelta(minutes=self.session_idle_minutes)

    @property
    def proxies(self) -> list[str]:
        """Addresses and networks whose forwarding headers are believed."""
        return _parts(self.trusted_proxies)

    @property
    def masking_keys(self) -> str | None:
        """What STROP_MASKING_KEY holds, for `backend.services.datasets.masking.keys`."""
        return None if self.masking_key is None else self.masking_key.get_secret_value()

    @property
    def metric_names(self) -> list[str]:
        """Metrics beside the built-in ones that projects may use."""
        return _parts(self.metrics)

    @property
    def vllm_urls(self) -> list[str]:
        """Addresses of the vLLM servers, without a trailing slash."""
        return [url.rstrip("/") for url in _parts(self.vllm_url)]

    @property
    def openai_servers(self) -> dict[str, str | None]:
        """Addresses of the servers of models served elsewhere, each with its key.

        Raises:
            InvalidInput: not as many keys as addresses, or a key that no header can hold.
        """
        urls = _parts(self.openai_url)
        own = self.openai_api_key
        keys = _parts(own.get_secret_value() if own else None)
        if not keys and len(urls) == 1 and _is_openai(urls[0]):
            keys = _parts(os.environ.get("OPENAI_API_KEY"))
        if urls and keys and len(keys) != len(urls):
            raise InvalidInput(
                f"STROP_OPENAI_API_KEY holds {len(keys)} keys for {len(urls)} addresses.",
                hint="Give as many as STROP_OPENAI_URL has, separated by commas, in its order.",
            )
        if not all(key.isascii() and key.isprintable() for key in keys):
            raise InvalidInput("The key in STROP_OPENAI_API_KEY holds more than printable ASCII.")
        return dict(zip(urls, keys, strict=True)) if urls and keys else dict.fromkeys(urls)

    @property
    def serving_urls(self) -> list[str]:
        """The vLLM servers that answer for promoted models; none unless vLLM is configured."""
        named = self.vllm_url != type(self).model_fields["vllm_url"].default
        return self.vllm_urls if named or self.engine == "vllm" else []


def _parts(text: str | None) -> list[str]:
    """What stands between the commas of a setting."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _is_openai(url: str) -> bool:
    """Whether an address is the vendor's, whose key nobody else may be shown."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and parts.netloc.lower() in (_OPENAI, f"{_OPENAI}:443")
    except ValueError:  # no address at all, which the engine refuses
        return False


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return known and parts.path in ("", "/") and not parts.query and "@" not in parts.netloc


_OPENAI = "api.openai.com"


def sqlite_url(file: Path) -> str:
    """The URL of a SQLite file, whatever stands in its name: `?`, `#`, `%20` and spaces too."""
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(file.absolute())).render_as_string()


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None of another one, or of one in memory."""
    from sqlalchemy import make_url

    found = make_url(url)
    if found.get_backend_name() != "sqlite" or found.database in (None, "", ":memory:"):
        return None
    return Path(str(found.database))


def load_settings(**overrides: object) -> Settings:
    """Read the settings now; overrides that are None are ignored.

    Raises:
        InvalidInput: a setting cannot be used; no value is repeated, since it may be a secret.
    """
    try:
        return Settings(**{k: v for k, v in overrides.items() if v is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise InvalidInput(
            "; ".join(_in_words(found) for found in error.errors(include_input=False)),
            hint="Settings come from the environment, strop.toml and the command's options.",
        ) from None


def _in_words(found: ErrorDetails) -> str:
    where = ".".join(str(part) for part in found["loc"])
    said = found["msg"].removeprefix("Value error, ")
    return f"The setting {where} is wrong: {said}." if where else f"{said[:1].upper()}{said[1:]}."


_SECRETS = (
    "secret",
    "vllm_api_key",
    "openai_api_key",
    "masking_key",
    "oidc_client_secret",
    "backup_key",
)


def child_environment(settings: Settings, **extra: str) -> dict[str, str]:
    """Environment for a process that Strop starts: ours, with every setting written out."""
    own = {
        f"STROP_{name.upper()}": json.dumps(value) if isinstance(value, dict) else str(value)
        for name, value in settings.model_dump(mode="json", exclude_none=True).items()
        if name not in _SECRETS
    }
    secrets = {
        f"STROP_{name.upper()}": value.get_secret_value()
        for name in _SECRETS
        if (value := getattr(settings, name)) is not None
    }
    return {**os.environ, **own, **secrets, "STROP_HOME": str(settings.home.absolute()), **extra}


def bare_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Environment for a process that needs no setting of Strop's: it gets none of its secrets."""
    return {name: value for name, value in environment.items() if not name.startswith("STROP_")}
