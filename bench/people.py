"""Simulated users for locust: people with a browser, and apps that call the APIs.

A simulated user logs in once, reads much more often than it writes, and pauses between requests. `python -m
bench.scaling` runs the load generator locust with this file. You can also run locust directly, with the address of the
ingress: `locust --locustfile bench/people.py --host http://127.0.0.1`.
"""

import random
import re
import uuid
from typing import Any

from locust import FastHttpUser, between, task

ACCOUNTS = ("bruce", "stephen", "admin")  # accounts in the sample data; each password is the same as the user name
WORDS = ("tea", "the", "to", "e", "100 %", "ÜBER", "rain", "nowhere to be found")


class Browser(FastHttpUser):
    """A person with a browser, who mostly reads and searches, and sometimes writes."""

    weight = 3
    wait_time = between(0.5, 1.5)
    default_headers = {"Host": "frontend.localhost"}

    def on_start(self) -> None:
        """Log in."""
        self.text = f"Written under load, {uuid.uuid4()}"  # unique, because simulated users share accounts
        name = random.choice(ACCOUNTS)
        token = self._token(self.client.get("/login/", name="web: login page").text)
        data = {"username": name, "password": name, "csrfmiddlewaretoken": token}
        self.client.post("/login/", data, name="web: log in")

    def on_stop(self) -> None:
        """Delete the written thoughts."""
        page = self.client.get("/thoughts/", name="web: own thoughts").text
        for part in page.split("<article")[1:]:
            path = re.search(r'action="(/thoughts/\d+/delete)"', part)
            if path and self.text in part:
                data = {"csrfmiddlewaretoken": self._token(page)}
                self.client.post(path[1], data, name="web: delete")

    @task(10)
    def search(self) -> None:
        """Search all thoughts."""
        self.client.get("/search", params={"search": random.choice(WORDS)}, name="web: search")

    @task(5)
    def newest(self) -> None:
        """Read the newest thoughts."""
        self.client.get("/search", name="web: newest")

    @task(5)
    def own(self) -> None:
        """Read the user's own thoughts."""
        self.client.get("/thoughts/", name="web: own thoughts")

    @task(1)
    def write(self) -> None:
        """Write a thought."""
        token = self._token(self.client.get("/thoughts/", name="web: own thoughts").text)
        data = {"text": self.text, "csrfmiddlewaretoken": token}
        self.client.post("/thoughts/new", data, name="web: write")

    def _token(self, page: str) -> str:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        return found[1] if found else ""


class App(FastHttpUser):
    """A program that calls the APIs."""

    weight = 1
    wait_time = between(0.5, 1.5)
    default_headers = {"Host": "thoughts.localhost"}

    def on_start(self) -> None:
        """Log in."""
        name = random.choice(ACCOUNTS)
        answer: Any = self.client.post(
            "/api/login/",
            {"username": name, "password": name},
            headers={"Host": "users.localhost"},
            name="users_api: log in",
        )
        self.token = {"Authorization": answer.json()["Authorized"]} if answer.status_code == 200 else {}
        self.written: list[int] = []

    def on_stop(self) -> None:
        """Delete the written thoughts."""
        for number in self.written:
            self.client.delete(f"/api/me/thoughts/{number}/", headers=self.token, name="thoughts_api: delete")

    @task(10)
    def search(self) -> None:
        """Search all thoughts."""
        self.client.get("/api/thoughts/", params={"search": random.choice(WORDS)}, name="thoughts_api: search")

    @task(5)
    def own(self) -> None:
        """Read the user's own thoughts."""
        self.client.get("/api/me/thoughts/?limit=20", headers=self.token, name="thoughts_api: own")

    @task(1)
    def write(self) -> None:
        """Write a thought."""
        answer: Any = self.client.post(
            "/api/me/thoughts/", json={"text": "Written under load."}, headers=self.token, name="thoughts_api: write"
        )
        if answer.status_code == 201:
            self.written.append(answer.json()["id"])
