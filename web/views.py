"""Views of all pages."""

import contextlib
import functools
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import resolve, reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from common import events
from common.events import Event
from common.http.urls import local_path
from web import errors
from web.accounts import Request
from web.backends import thoughts as thoughts_backend
from web.backends import users as users_backend
from web.backends.exceptions import BackendError, Forbidden, InvalidInput, NotAuthenticated, NotFound, Unavailable
from web.forms import USERNAME_MAX_LENGTH, LoginForm, PasswordForm, SignUpForm, ThoughtForm
from web.status import checker
from web.templatetags.thoughts import isolate

View = Callable[..., HttpResponse]

SEARCH_MAX_LENGTH = 1000  # characters, as in thoughts_api
ID = re.compile("[0-9]{1,19}")  # the largest id is 2**63 - 1
PLACE = re.compile("n[0-9]{1,3}")  # the position of a thought on its page


def account_required(view: View) -> View:
    """Redirect anonymous users to the login page.

    Raise the account's error (503) if an unavailable API leaves the login state unknown.
    """

    @functools.wraps(view)
    def wrapper(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.account.user is None:
            if request.account.error:
                raise request.account.error
            if request.account.refused:
                request.account.log_out()
            return to_login(request)
        try:
            return view(request, *args, **kwargs)
        except NotAuthenticated:
            request.account.log_out()
            return to_login(request)

    return wrapper


def to_login(request: Request) -> HttpResponse:
    """Redirect to the login page, which redirects back to this page after the login."""
    is_form = request.method not in ("GET", "HEAD")
    next_url = (next_path(request) or reverse("thoughts")) if is_form else request.get_full_path()
    if request.method == "POST":
        messages.warning(request, "You are not logged in. Nothing was changed. Log in, then try again.")
    elif request.account.changed:
        messages.warning(request, "Your session has expired. Log in to continue.")
    return redirect(f"{reverse('login')}?{urlencode({'next': next_url})}")


def to_next(request: Request) -> HttpResponse:
    """Redirect to `next`, or to the user's thoughts.

    The parameter `place` is the id of an element on that page. The browser scrolls to the element.
    """
    place = request.POST.get("place", "")
    fragment = f"#{place}" if PLACE.fullmatch(place) else ""
    return HttpResponseRedirect((next_path(request) or reverse("thoughts")) + fragment)


def next_path(request: Request) -> str:
    """Return the parameter `next` if it is a path on this site, else ""."""
    return local_path(request.POST.get("next") or request.GET.get("next", ""))


@require_safe
@account_required
def thoughts(request: Request) -> HttpResponse:
    """Show the user's thoughts, newest first, and the form for a new one."""
    return thoughts_page(request, ThoughtForm())


def thoughts_page(
    request: Request, form: ThoughtForm, error: BackendError | None = None, status: int = 200
) -> HttpResponse:
    """Render the form and the list, each with its error."""
    page = list_error = None
    # If an API is unavailable, a second call would only add a timeout.
    if request.account.user and not isinstance(error, Unavailable):
        try:
            page = request.account.call(thoughts_backend.mine, page_parameters(request))
        except NotAuthenticated:
            # A redirect to the login page would lose the typed text.
            if not form.is_bound:
                raise
        except BackendError as exception:
            list_error = exception
    context = {
        "form": form,
        "page": page,
        "error": error and errors.notice(error),
        "log_in_again": isinstance(error, NotAuthenticated),
        "list_error": list_error and errors.notice(list_error),
    }
    shown = error or (list_error if status == 200 else None)
    return errors.render_with(request, "thoughts.html", context, shown, status)


@require_http_methods(["GET", "HEAD", "POST"])
def new_thought(request: Request) -> HttpResponse:
    """Store a thought and redirect to the list. On failure, show the form again."""
    if request.method != "POST":
        return redirect("thoughts")
    form = ThoughtForm(request.POST)
    if not form.is_valid():
        return thoughts_page(request, form, status=400)
    account = request.account
    try:
        if account.user is None:
            raise account.error or NotAuthenticated(users_backend.SERVICE)
        account.call(thoughts_backend.create, form.cleaned_data["text"])
    except InvalidInput as error:
        form.add_backend_errors(error)
        return thoughts_page(request, form, status=error.status)
    except NotAuthenticated as error:
        account.log_out()
        return thoughts_page(request, form, error)
    except BackendError as error:
        return thoughts_page(request, form, error)
    messages.success(request, "Posted.")
    return redirect("thoughts")


@require_POST
@account_required
def delete_thought(request: Request, id: int) -> HttpResponse:
    """Delete a thought, and redirect to `next`. Staff may delete any user's thought."""
    user = request.account.user
    try:
        request.account.call(thoughts_backend.delete, id)
    except NotFound:
        if user is None or not user.is_staff:
            raise
        request.account.call(thoughts_backend.delete_any, id)
    messages.success(request, "Deleted.")
    return to_next(request)


@require_safe
def search(request: Request) -> HttpResponse:
    """Show all thoughts that contain the search text, newest first."""
    text = request.GET.get("search", "")

    def read(page: dict[str, str]) -> thoughts_backend.Page:
        if len(text) > SEARCH_MAX_LENGTH:
            message = f"A search can have up to {SEARCH_MAX_LENGTH} characters."
            raise InvalidInput(thoughts_backend.SERVICE, message, {})
        return thoughts_backend.search(text, page)

    return list_page(request, "search.html", {"search": text}, read)


@require_safe
def author(request: Request, name: str) -> HttpResponse:
    """Show the thoughts of a user, newest first."""
    if len(name) > USERNAME_MAX_LENGTH:
        raise Http404
    read = functools.partial(thoughts_backend.by_author, name)
    return list_page(request, "author.html", {"name": name}, read)


def list_page(
    request: Request, template: str, context: dict[str, Any], read: Callable[[dict[str, str]], thoughts_backend.Page]
) -> HttpResponse:
    """Render a public list of thoughts, or the error.

    `read` returns the page that the query parameters select.
    """
    page = error = None
    try:
        page = read(page_parameters(request))
    except BackendError as exception:
        error = exception
    return errors.render_with(
        request, template, {**context, "page": page, "error": error and errors.notice(error)}, error
    )


@require_safe
def thought(request: Request, id: int) -> HttpResponse:
    """Show one thought."""
    return render(request, "thought.html", {"thought": thoughts_backend.get(id)})


def page_parameters(request: Request) -> dict[str, str]:
    """Return the query parameters `after` and `before`.

    Raise `InvalidInput` if one is not a number, or is too long for an id.
    """
    parameters = {name: value for name in ("after", "before") if (value := request.GET.get(name))}
    if not all(ID.fullmatch(value) for value in parameters.values()):
        raise InvalidInput(thoughts_backend.SERVICE, "The address of this page is not valid.", {})
    return parameters


@require_safe
def status(request: Request) -> HttpResponse:
    """Show which services work."""
    return render(request, "status.html", {"report": checker.report()})


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def login(request: Request) -> HttpResponse:
    """Log in with a user name and a password, and redirect to `next`."""
    if request.method != "POST":
        return to_next(request) if request.account.user else login_page(request, LoginForm())
    form = LoginForm(request.POST)
    status, error = 400, None
    if form.is_valid():
        try:
            tokens = users_backend.log_in(**form.cleaned_data, client=request.account.client)
        except InvalidInput as exception:
            form.add_backend_errors(exception)
        except NotAuthenticated:
            status = 401
            form.add_error(None, "The user name or the password is wrong.")
        except BackendError as exception:
            error = exception
        else:
            replace_session(request, *tokens)
            return to_next(request)
    return login_page(request, form, error, status)


def replace_session(request: Request, authorization: str, refresh: str) -> None:
    """Store the tokens of a login, and end the previous session."""
    earlier = request.account.refresh
    request.account.log_in(authorization, refresh)
    if earlier:
        with contextlib.suppress(BackendError):  # it expires later
            users_backend.log_out(earlier)


def login_page(request: Request, form: LoginForm, error: BackendError | None = None, status: int = 200) -> HttpResponse:
    """Render the login form, without the password.

    For a GET request, also show the newest thoughts.
    """
    newest = None
    if request.method != "POST":
        with contextlib.suppress(BackendError):
            newest = thoughts_backend.newest()
    context = {
        "newest": newest,
        "form": form,
        "next": next_path(request),
        "error": error and errors.notice(error),
        "sign_up_is_open": settings.SIGN_UP == "open",
    }
    return errors.render_with(request, "login.html", context, error, status)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: Request) -> HttpResponse:
    """Create an account and log in. If sign-up is closed, show the contact."""
    if settings.SIGN_UP != "open":
        return sign_up_closed(request, status=403 if request.method == "POST" else 200)
    if request.method != "POST":
        return to_next(request) if request.account.user else sign_up_page(request, SignUpForm())
    form = SignUpForm(request.POST)
    error: BackendError | None = None
    if form.is_valid():
        try:
            users_backend.sign_up(**form.cleaned_data, client=request.account.client)
        except InvalidInput as exception:
            form.add_backend_errors(exception)
        except Forbidden:
            return sign_up_closed(request, status=403)
        except BackendError as exception:
            error = exception
        else:
            return log_in_after_sign_up(request, **form.cleaned_data)
    return sign_up_page(request, form, error, 400)


def log_in_after_sign_up(request: Request, username: str, password: str) -> HttpResponse:
    """Log in to the new account."""
    try:
        request.account.log_in(*users_backend.log_in(username, password, client=request.account.client))
    except BackendError:
        messages.success(request, "Your account is ready. Log in to start.")
        return redirect("login")
    messages.success(request, f"Welcome, {isolate(username)}. Your account is ready.")
    return to_next(request)


def sign_up_page(
    request: Request, form: SignUpForm, error: BackendError | None = None, status: int = 200
) -> HttpResponse:
    """Render the sign-up form, without the password."""
    context = {"form": form, "next": next_path(request), "error": error and errors.notice(error)}
    return errors.render_with(request, "signup.html", context, error, status)


def sign_up_closed(request: Request, status: int) -> HttpResponse:
    """Render the page that says whom to ask for an account."""
    return render(request, "signup_closed.html", {"contact": settings.SIGN_UP_CONTACT}, status=status)


@require_safe
@account_required
def account(request: Request) -> HttpResponse:
    """Show the user's sessions and the password form."""
    return account_page(request, PasswordForm())


def account_page(
    request: Request, form: PasswordForm, error: BackendError | None = None, status: int = 200
) -> HttpResponse:
    """Render the password form and the sessions, each with its error."""
    sessions = list_error = None
    # If an API is unavailable, a second call would only add a timeout.
    if request.account.user and not isinstance(error, Unavailable):
        try:
            sessions = request.account.call(users_backend.sessions)
        except NotAuthenticated:
            raise
        except BackendError as exception:
            list_error = exception
    context = {
        "form": form,
        "sessions": sessions,
        "error": error and errors.notice(error),
        "list_error": list_error and errors.notice(list_error),
    }
    shown = error or (list_error if status == 200 else None)
    return errors.render_with(request, "account.html", context, shown, status)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@account_required
def change_password(request: Request) -> HttpResponse:
    """Change the user's password. users_api ends the user's other sessions."""
    if request.method != "POST":
        return redirect("account")
    form = PasswordForm(request.POST)
    if not form.is_valid():
        return account_page(request, form, status=400)
    old, new = form.cleaned_data["old_password"], form.cleaned_data["new_password"]
    try:
        request.account.call(users_backend.change_password, old, new, request.account.client)
    except InvalidInput as error:
        form.add_backend_errors(error)
        return account_page(request, form, status=error.status)
    except NotAuthenticated:
        raise
    except BackendError as error:
        return account_page(request, form, error)
    messages.success(request, "Your password has been changed. Your other devices are logged out.")
    return redirect("account")


@require_POST
@account_required
def end_session(request: Request, id: int) -> HttpResponse:
    """End one of the user's sessions."""
    with contextlib.suppress(NotFound):  # already logged out
        request.account.call(users_backend.end_session, id)
    messages.success(request, "That device is logged out.")
    return redirect("account")


@require_POST
@account_required
def end_other_sessions(request: Request) -> HttpResponse:
    """End all of the user's sessions except this one."""
    request.account.call(users_backend.end_other_sessions)
    messages.success(request, "Your other devices are logged out.")
    return redirect("account")


@require_http_methods(["GET", "HEAD", "POST"])
@account_required
def log_out_everywhere(request: Request) -> HttpResponse:
    """End all of the user's sessions, including this one."""
    if request.method != "POST":
        return redirect("account")
    request.account.call(users_backend.end_other_sessions)
    return logout(request)


@require_http_methods(["GET", "HEAD", "POST"])
def logout(request: Request) -> HttpResponse:
    """Ask for confirmation (GET), then log out and end the session (POST)."""
    if request.method != "POST":
        return render(request, "logout.html")
    refresh = request.account.refresh
    request.account.log_out()
    try:
        with contextlib.suppress(InvalidInput, NotAuthenticated):  # no valid refresh token
            if refresh:
                users_backend.log_out(refresh)
        messages.success(request, "You are logged out.")
    except BackendError:
        messages.warning(
            request,
            "You are logged out in this browser. The session expires within 14 days.",
        )
    return redirect("login")


def csrf_failure(request: Request, reason: str = "") -> HttpResponse:
    """Return 403 for a missing or expired CSRF token, and keep the typed text."""
    events.record(Event.ACCESS_REFUSED, status=403, reason="CSRF")
    expired = "This form has expired, or your browser blocks cookies. Send it again."
    match resolve(request.path_info).url_name:
        case "new-thought":
            form = ThoughtForm(request.POST)
            form.add_error(None, expired)
            return thoughts_page(request, form, status=403)
        case "sign-up":
            sign_up_form = SignUpForm(request.POST)
            sign_up_form.add_error(None, expired)
            return sign_up_page(request, sign_up_form, status=403)
        case "login":
            login_form = LoginForm(request.POST)
            login_form.add_error(None, expired)
            return login_page(request, login_form, status=403)
    text = "Nothing was changed. Go back, reload the page, and try again. Your browser must accept cookies."
    return errors.render_error(request, 403, text)


def bad_request(request: Request, exception: Exception) -> HttpResponse:
    """Return the page for a request that Django refuses (handler400).

    Django refuses a request if, for example, its body is too large (413) or its host is unknown (400).
    """
    if isinstance(exception, (RequestDataTooBig, TooManyFieldsSent)):
        status = 413 if isinstance(exception, RequestDataTooBig) else 400  # RFC 9110 section 15.5.14
        return errors.render_error(request, status, "The form is too large. Go back and shorten your text.")
    return errors.render_error(request, 400, "Your browser sent an invalid request. Go back and try again.")


def not_found(request: Request, exception: Exception) -> HttpResponse:
    """Return the page for an unknown path (handler404)."""
    text = "There is no page at this address. Check the address for typos, or search for what you wanted to read."
    return errors.render_error(request, 404, text)


def server_error(request: Request) -> HttpResponse:
    """Return the page for an internal error (handler500)."""
    return errors.render_error(request, 500, "This is our fault. We have logged the error. Try again in a moment.")
