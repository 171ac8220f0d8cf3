"""What a call that failed means: try again, wait, or tell the person which step to take."""

import email.utils
import errno
import json
import time

from kit.errors import Failure, UserError, kind_of, printable
from kit.kaggle_client import schema
from kit.kaggle_client.credentials import TOKEN_PAGE, Credential
from kit.kaggle_client.deadline import Stalled
from kit.kaggle_client.guard import Call, Misdirected

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
DAY = 24 * 3600.0  # seconds; who asks for a longer pause has made a mistake
LONGEST_MESSAGE = 300


def transient(call: Call | None, error: Exception | None) -> bool:
    """Say whether the same request may succeed in a moment: 408, 429, 5xx, a dropped or hanging connection."""
    if isinstance(error, Stalled):
        return True
    if call is None or isinstance(error, (UserError, Failure)) or disk_error(error):
        return False
    if call.failure is None and call.status is not None and call.status >= 400:
        # A signed URL may have run out; the next attempt gets a new one.
        return call.status in (408, 429) or call.status >= 500 or call.of_storage
    return _of_the_network(call.failure or error)


def _of_the_network(error: Exception | None) -> bool:
    """Say whether the connection or the answer was at fault, not the client, this machine or its settings."""
    import requests
    import urllib3

    if isinstance(error, (requests.RequestException, urllib3.exceptions.HTTPError)):
        return not isinstance(error, ValueError)  # a wrong proxy or address is wrong the next time too
    return isinstance(error, (ConnectionError, TimeoutError, schema.NotKaggles))


def late(call: Call) -> bool:
    """Say whether the answer did not come in time, so that what was asked for may still be done."""
    import requests

    timeouts = (requests.exceptions.Timeout, Stalled)
    return (
        isinstance(call.failure, timeouts)
        or "timed out" in str(call.failure)
        or (call.failure is None and call.status in (408, 504))
    )


def refused(call: Call) -> bool:
    """Say whether Kaggle has answered that it will not do what was asked for, now or later."""
    status = call.status if call.failure is None else None
    return status is not None and 400 <= status < 500 and status not in (408, 429)


def unreachable(error: Exception | None) -> bool:
    """Say whether no connection came about at all: no network, no such host, no proxy, no trust."""
    from urllib3 import exceptions

    return isinstance(_cause(error), exceptions.SSLError) or never_left(error)


def never_left(error: Exception | None) -> bool:
    """Say whether it is certain that not one byte of the request has left this machine for Kaggle."""
    from urllib3 import exceptions

    causes = (exceptions.NewConnectionError, exceptions.ConnectTimeoutError)
    return (
        isinstance(error, Misdirected) or isinstance(_cause(error), causes) or "Tunnel connection failed" in str(error)
    )


def _cause(error: Exception | None) -> Exception | None:
    """Return what `requests` has wrapped, once for the retries and, on the way through a proxy, once more."""
    reason = getattr(error.args[0] if error and error.args else None, "reason", None)
    return getattr(reason, "original_error", reason)


def disk_error(error: Exception | None) -> bool:
    """Say whether it was this machine's disk that failed, not the network."""
    import requests

    return isinstance(error, OSError) and not isinstance(error, requests.RequestException) and error.errno in DISK


def asked_pause(call: Call | None) -> float | None:
    """Return the seconds that Kaggle asks to wait, at most a day; None where it asks for nothing that makes sense.

    Retry-After is a number of seconds or a date: RFC 9110, section 10.2.3.
    """
    text = call.retry_after.strip() if call else ""
    if text.isascii() and text.isdigit():
        return min(DAY, float(text))
    try:
        seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time() if text else None
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return None if seconds is None else min(DAY, max(0.0, seconds))


def explanation(call: Call | None, error: Exception | None, competition: str, tried: list[Credential]) -> Exception:
    """Return what to raise for a call that failed for good.

    Args:
        call: the request that failed; None where it never came to one.
        error: what the client raised; None where it reported nothing.
        competition: the competition's name.
        tried: the credentials that were tried.

    Returns:
        A `UserError` where the person can correct it, else a `Failure`; one line.
    """
    if isinstance(error, (UserError, Failure)):
        return error
    if isinstance(error, OSError) and disk_error(error):
        kind = kind_of(error)
        remedy = "choose a folder of your own" if kind is UserError else "make room and try again"
        return kind(f"{error.filename or 'the disk'} cannot be written ({error.strerror}); {remedy}.")
    status = call.status if call and call.failure is None else None
    if call is None or status is None or status < 400 or isinstance(error, Stalled):
        return _without_answer(call, error)
    return _of_a_status(call, status, competition, tried)


def brief(call: Call | None, explained: Exception) -> str:
    """Return what happened, without a remedy, for a failure after which there is a new attempt."""
    status = call.status if call and call.failure is None else None
    if call is None or status is None or status < 400:
        return str(explained).partition(";")[0].rstrip(".")
    return "rate limit reached" if status == 429 else f"{call.host} answers {status}"


def _of_a_status(call: Call, status: int, competition: str, tried: list[Credential]) -> Exception:
    page = f"https://www.kaggle.com/competitions/{competition}"
    message = kaggles_message(call.text)
    quoted = f', it says: "{message}"' if message else ""
    if call.of_storage:
        return Failure(f"Kaggle's storage, {call.host}, refuses ({status}{quoted}); nothing is lost; try again later.")
    if status == 401:
        places = " and ".join(credential.place for credential in tried)
        return UserError(
            f"Kaggle rejects the credentials in {places}{quoted}; make a new token at {TOKEN_PAGE} and save it as "
            "~/.kaggle/access_token or in KAGGLE_API_TOKEN."
        )
    if status == 403:
        return UserError(
            f"Kaggle refuses access to {competition}{quoted}; join the competition and accept its rules at "
            f"{page}/rules, then try again."
        )
    if status == 404:
        return UserError(
            f"Kaggle does not find {competition}{quoted}; see {page}, and update the client if the page is there: "
            "`python -m pip install -U kaggle`."
        )
    if status == 429:
        return Failure(f"Kaggle's rate limit is reached (429{quoted}); try again {_when(asked_pause(call))}.")
    if status >= 500 or status == 408:
        return Failure(f"Kaggle's server fails ({status}{quoted}); nothing is lost; try again later.")
    return UserError(f"Kaggle refuses ({status}{quoted or f', without a reason; see {page}'}).")


def _when(pause: float | None) -> str:
    if pause is None or pause <= 90:
        return "in a minute"
    if pause >= DAY:
        return "tomorrow"
    return f"in {pause / 60:.0f} minutes" if pause < 2 * 3600 else f"in {pause / 3600:.0f} hours"


def _without_answer(call: Call | None, error: Exception | None) -> Exception:
    """Explain a request that was not answered, or not as Kaggle does."""
    import requests
    import urllib3

    host = call.host if call else "Kaggle"
    error = (call.failure if call else None) or error
    cause = _cause(error)
    if isinstance(error, Misdirected):
        return Failure(f"{error}; is a proxy or the hosts file of this machine in the way?")
    if isinstance(error, requests.exceptions.ProxyError) and unreachable(error):
        return Failure(f"the proxy on the way to {host} cannot be used; check https_proxy and http_proxy.")
    if isinstance(error, requests.exceptions.SSLError) or isinstance(cause, urllib3.exceptions.SSLError):
        return Failure(
            f"{host} shows a certificate that this machine does not trust; set REQUESTS_CA_BUNDLE to your network's "
            "certificates."
        )
    if isinstance(error, Stalled):
        return Failure(f"{host} answers too slowly ({error}); try again later.")
    if isinstance(error, requests.exceptions.Timeout):
        return Failure(f"{host} does not answer in time; try again later.")
    if unreachable(error):
        return Failure(f"no connection to {host}; check the network.")
    if isinstance(error, schema.NotKaggles):
        return Failure(f"{host} answers, but not as Kaggle does; is there a log-in page of this network in the way?")
    if _of_the_network(error):
        return Failure(f"the connection to {host} breaks; check the network and try again.")
    kind = f" ({type(error).__name__})" if error else ""
    return Failure(
        f"Kaggle's client cannot use the answer of {host}{kind}; update it: `python -m pip install -U kaggle`."
    )


def kaggles_message(text: str) -> str:
    """Return the message inside an error's body, `{"error": {"message": …}}` or `{"message": …}`, on one line."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = "" if "<" in text else text
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    if isinstance(body, dict):
        body = body.get("message") or body.get("error") or ""
    return " ".join(printable(str(body)[: 4 * LONGEST_MESSAGE]).split()).rstrip(".")[:LONGEST_MESSAGE]
