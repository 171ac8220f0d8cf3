"""This machine's settings of the network, checked before the first request: no attempt makes a wrong one right."""

import os
import ssl

from kit.errors import UserError

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def check(hosts: tuple[str, ...]) -> None:
    """Check certificates and proxies, without the network.

    Args:
        hosts: addresses that will be asked, such as "https://api.kaggle.com".

    Raises:
        UserError: names the variable that is wrong.
    """
    _check_bundle()
    for host in hosts:
        _check_proxy(host)


def _check_bundle() -> None:
    name = next((name for name in BUNDLES if os.environ.get(name)), None)
    if name is None:
        return
    path = os.environ[name]
    if not os.path.exists(path):
        raise UserError(f"{name} names {path}, which is missing; correct it, or unset it.")
    try:
        ssl.create_default_context(**{"capath" if os.path.isdir(path) else "cafile": path})  # type: ignore[arg-type]
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise UserError(
            f"{name} names {path}, which holds no certificates ({reason}); correct it, or unset it."
        ) from None


def _check_proxy(host: str) -> None:
    import requests
    import urllib3

    proxy = requests.utils.select_proxy(host, requests.utils.get_environ_proxies(host))
    if not proxy:
        return
    name = _variable(host)
    try:
        address = requests.utils.prepend_scheme_if_needed(proxy, "http")
        if not urllib3.util.parse_url(address).host:
            raise ValueError("it has no host")
        requests.adapters.HTTPAdapter().proxy_manager_for(address)
    except requests.exceptions.InvalidSchema:
        raise UserError(
            f"{name} asks for a SOCKS proxy, which needs a package: `python -m pip install 'requests[socks]'`."
        ) from None
    except (ValueError, urllib3.exceptions.HTTPError, requests.RequestException):
        # The reason would repeat the address, which may hold a password.
        raise UserError(
            f"{name} is not the address of a proxy, such as http://proxy.example:3128 (ports go up to 65535); correct "
            "it, or unset it."
        ) from None


def _variable(host: str) -> str:
    scheme = host.partition(":")[0]
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    return next((name for name in names if os.environ.get(name)), "the proxy in this machine's settings")
