"""What Kaggle's answers mean: try again, wait, or tell the person which step to take."""

import email.utils
import errno
import json
import re
import time

from kit.errors import Failure, UserError
from kit.kaggle_client.credentials import TOKEN_PAGE, Credential
from kit.kaggle_client.guard import Call, Misdirected

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


def transient(call: Call | None, error: Exception | None) -> bool:
    """Say whether the same request may succeed in a moment: 408, 429, 5xx, a dropped or hanging connection."""
    if isinstance(error, (UserError, Failure, Misdirected)) or disk_error(error):
        return False
    if call is None or isinstance(call.failure, Misdirected):
        return False
    if call.failure is None and call.status is not None and call.status >= 400:
        # A signed URL may have run out; the next attempt gets a new one.
        return call.status in (408, 429) or call.status >= 500 or call.of_storage
    return True


def late(call: Call) -> bool:
    """Say whether the answer did not come in time, so that what was asked for may yet be done."""
    import requests

    return (
        isinstance(call.failure, requests.exceptions.Timeout) or "timed out" in str(call.failure) or call.status == 504
    )


def unreachable(error: Exception | None) -> bool:
    """Say whether no connection came about at all: no network, no such host, no proxy, no trust."""
    from urllib3 import exceptions

    causes = (exceptions.NewConnectionError, exceptions.ConnectTimeoutError, exceptions.SSLError)
    return isinstance(_cause(error), causes) or "Tunnel connection failed" in str(error)


def _cause(error: Exception | None) -> Exception | None:
    """Return what `requests` has wrapped, once for the retries and, on the way through a proxy, once more."""
    reason = getattr(error.args[0] if error and error.args else None, "reason", None)
    return getattr(reason, "original_error", reason)


def disk_error(error: Exception | None) -> bool:
    """Say whether it was this machine's disk that failed, not the network."""
    import requests

    return isinstance(error, OSError) and not isinstance(error, requests.RequestException) and error.errno in DISK


def asked_pause(call: Call | None) -> float | None:
    """Return the seconds that Kaggle asks to wait, by Retry-After in seconds or as a date; None where it does not."""
    text = call.retry_after.strip() if call else ""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time()) if text else None
    except ValueError:
        return None


def explanation(call: Call | None, error: Exception | None, competition: str, tried: list[Credential]) -> Exception:
    """Return what to raise for a call that failed for good.

    Args:
        call: the request that failed; None where it never came to one.
        error: what the client raised; None where it was silent.
        competition: the competition's name.
        tried: the credentials that were tried.

    Returns:
        A `UserError` where the person can mend it, else a `Failure`; one line.
    """
    if isinstance(error, (UserError, Failure)):
        return error
    page = f"https://www.kaggle.com/competitions/{competition}"
    status = call.status if call and call.failure is None else None
    said = f", it says: {kaggles_words(call.text)}" if call and kaggles_words(call.text) else ""
    if disk_error(error):
        return Failure(f"{error.filename or 'the disk'} cannot be written ({error.strerror}); make room and try again.")
    if call and call.of_storage and status is not None and status >= 400:
        return Failure(f"Kaggle's storage, {call.host}, refuses ({status}{said}); nothing is lost; try again later.")
    if status == 401:
        places = " and ".join(credential.place for credential in tried)
        return UserError(
            f"Kaggle rejects the credentials in {places}{said}; make a new token at {TOKEN_PAGE} and save it as "
            "~/.kaggle/access_token or in KAGGLE_API_TOKEN."
        )
    if status == 403:
        return UserError(
            f"Kaggle refuses access to {competition}{said}; join the competition and accept its rules at {page}/rules, "
            "then try again."
        )
    if status == 404:
        return UserError(
            f"Kaggle does not find {competition}{said}; see {page}, and update the client if the page is there: "
            "`python -m pip install -U kaggle`."
        )
    if status == 429:
        pause = asked_pause(call)
        when = f"in {pause / 60:.0f} minutes" if pause and pause > 90 else "in a minute"
        return Failure(f"Kaggle asks to slow down (429{said}); try again {when}.")
    if status is not None and status >= 500:
        return Failure(f"Kaggle's server fails ({status}{said}); nothing is lost; try again later.")
    if status is not None and status >= 400:
        return UserError(f"Kaggle refuses ({status}{said or f', without a reason; see {page}'}).")
    return Failure(_of_the_network(call, (call.failure if call else None) or error))


def _of_the_network(call: Call | None, error: Exception | None) -> str:
    import requests

    host = call.host if call else "Kaggle"
    if isinstance(error, Misdirected):
        return f"{error}; is a proxy or the hosts file of this machine in the way?"
    if isinstance(error, requests.exceptions.ProxyError) and unreachable(error):
        return f"the proxy in the way to {host} does not let through; check https_proxy and http_proxy."
    if isinstance(error, requests.exceptions.SSLError):
        return f"{host} shows a certificate that this machine does not trust; set REQUESTS_CA_BUNDLE to your network's."
    if isinstance(error, requests.exceptions.Timeout):
        return f"{host} does not answer in time; try again later."
    if unreachable(error):
        return f"no connection to {host}; check the network."
    if isinstance(error, requests.exceptions.RequestException) and not isinstance(error, ValueError):
        return f"the connection to {host} breaks again and again; check the network and try again."
    kind = f" ({type(error).__name__})" if error else ""
    return f"{host} answers, but not as Kaggle does{kind}; is there a log-in page of this network in the way?"


def kaggles_words(text: str) -> str:
    """Return the message inside an error's body, `{"error": {"message": …}}` or `{"message": …}`, on one line."""
    try:
        body = json.loads(text)
    except ValueError:
        body = "" if "<" in text else text
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    if isinstance(body, dict):
        body = body.get("message") or body.get("error") or ""
    return re.sub(r"\s+", " ", str(body)).strip().rstrip(".")[:300]
