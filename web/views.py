"""The pages."""

import functools
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from common.addresses import client_address
from web import errors
from web.backends import thoughts as thoughts_backend
from web.backends import users as users_backend
from web.backends.exceptions import BackendError, InvalidInput, NotAuthenticated
from web.forms import LoginForm, ThoughtForm

View = Callable[..., HttpResponse]


def account_required(view: View) -> View:
    """Send whoever is not logged in to the login page; 503 if that cannot be told right now."""

    @functools.wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.account.user is None:
            if request.account.error:
                raise request.account.error
            return to_login(request)
        try:
            return view(request, *args, **kwargs)
        except NotAuthenticated:
            request.account.log_out()
            return to_login(request)

    return wrapper


def to_login(request: HttpRequest) -> HttpResponse:
    """Redirect to the login page, and from there back to where the person wanted to read."""
    next_url = request.get_full_path() if request.method in ("GET", "HEAD") else reverse("thoughts")
    return redirect(f"{reverse('login')}?{urlencode({'next': next_url})}")


@require_safe
@account_required
def thoughts(request: HttpRequest) -> HttpResponse:
    """One's own thoughts, newest first, and the box to write one."""
    return thoughts_page(request, ThoughtForm())


def thoughts_page(
    request: HttpRequest, form: ThoughtForm, error: BackendError | None = None, status: int = 200
) -> HttpResponse:
    """Render the box as it is, with an error if there is one, above the list, or the reason why there is no list."""
    page = list_error = None
    if request.account.user:
        try:
            page = thoughts_backend.mine(request.account.authorization, page_parameters(request))
        except NotAuthenticated:
            # The box must not be lost when something was typed into it.
            if not form.is_bound:
                raise
        except BackendError as exception:
            list_error = exception
            status = exception.status if status == 200 else status
    context = {
        "form": form,
        "page": page,
        "error": error and errors.advice(error),
        "log_in_again": isinstance(error, NotAuthenticated),
        "list_error": list_error and errors.advice(list_error),
    }
    return render(request, "thoughts.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def new_thought(request: HttpRequest) -> HttpResponse:
    """Store a thought, then back to the list. On any failure the form comes back filled, with the reason."""
    if request.method != "POST":
        return redirect("thoughts")
    form = ThoughtForm(request.POST)
    if not form.is_valid():
        return thoughts_page(request, form, status=400)
    account = request.account
    try:
        if account.user is None:
            raise account.error or NotAuthenticated(users_backend.SERVICE)
        thoughts_backend.create(account.authorization, form.cleaned_data["text"])
    except InvalidInput as error:
        form.add_backend_errors(error)
        return thoughts_page(request, form, status=error.status)
    except BackendError as error:
        return thoughts_page(request, form, error, status=error.status)
    messages.success(request, "Your thought is out.")
    return redirect("thoughts")


@require_POST
@account_required
def delete_thought(request: HttpRequest, id: int) -> HttpResponse:
    """Delete one's own thought, then back to the list."""
    thoughts_backend.delete(request.account.authorization, id)
    messages.success(request, "Your thought is deleted.")
    return redirect("thoughts")


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Everyone's thoughts with a piece of text, newest first; all of them if it is empty."""
    piece = request.GET.get("search", "")
    page = error = None
    try:
        page = thoughts_backend.search(piece, page_parameters(request))
    except BackendError as exception:
        error = exception
    context = {"search": piece, "page": page, "error": error and errors.advice(error)}
    return render(request, "search.html", context, status=error.status if error else 200)


def page_parameters(request: HttpRequest) -> dict[str, str]:
    """Return the parameters that say which page of a list is wanted."""
    return {name: request.GET[name] for name in ("after", "before") if name in request.GET}


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    """Log in with a user name and a password, then go on to `next` if it is on this site."""
    next_url = request.POST.get("next") or request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(next_url, {request.get_host()}, request.is_secure()):
        next_url = reverse("thoughts")
    if request.method != "POST":
        if request.account.user:
            return redirect(next_url)
        return render(request, "login.html", {"form": LoginForm(), "next": next_url})
    form = LoginForm(request.POST)
    status, error = 400, None
    if form.is_valid():
        try:
            request.account.log_in(*users_backend.log_in(**form.cleaned_data, address=client_address(request)))
        except InvalidInput as exception:
            form.add_backend_errors(exception)
        except NotAuthenticated:
            status = 401
            form.add_error(None, "The user name or the password is wrong.")
        except BackendError as exception:
            error = exception
            status = exception.status
        else:
            return redirect(next_url)
    context = {"form": form, "next": next_url, "error": error and errors.advice(error)}
    return render(request, "login.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def logout(request: HttpRequest) -> HttpResponse:
    """Ask (GET), then forget the person and end the refresh token (POST)."""
    if request.method != "POST":
        return render(request, "logout.html")
    refresh = request.account.refresh
    request.account.log_out()
    try:
        if refresh:
            users_backend.log_out(refresh)
        messages.success(request, "You are logged out.")
    except BackendError:
        messages.warning(
            request,
            "You are logged out in this browser. The log-in service is away, so the log-in itself ends by itself, "
            "within 14 days.",
        )
    return redirect("login")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose CSRF token is missing or too old (403); a thought that was typed comes back."""
    if "text" in request.POST:
        form = ThoughtForm(request.POST)
        form.add_error(None, "This page was open for too long, or cookies are off. Please send it again.")
        return thoughts_page(request, form, status=403)
    return errors.render_error(request, 403, "It was open for too long, or cookies are off. Go back, reload, try again.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django itself refuses (handler400)."""
    return HttpResponse("The request is malformed.\n", status=400, content_type="text/plain; charset=utf-8")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a path that no view serves (handler404)."""
    return errors.render_error(request, 404, "There is no page at this address. The links above lead on.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a fault of ours (handler500)."""
    return errors.render_error(request, 500, "The fault is ours and is in our log. Please try again.")
