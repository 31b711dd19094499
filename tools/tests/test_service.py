"""The template of `make service` agrees with the projects of this repository."""

import pytest

from tools.local import ROOT
from tools.service import TEMPLATE, Insert, Names, edited

NOTES = Names("notes", 8003, "Note")
THOUGHTS = Names("thoughts", 8000, "Thought")
# These manifests differ, because thoughts_api has more settings and a read replica, and web calls it.
DIFFERENT = {
    "k8s/base/thoughts-api/deployment.yaml",
    "k8s/base/thoughts-api/settings.env",
    "k8s/components/network-policies/thoughts-api.yaml",
    "k8s/components/observability/dashboards/thoughts-api.json",
}
MANIFESTS = {
    str(file.relative_to(ROOT)): THOUGHTS.render(source.read_text())
    for source, file in THOUGHTS.files()
    if source.is_relative_to(TEMPLATE / "k8s")
}


@pytest.mark.parametrize("name", MANIFESTS.keys() - DIFFERENT)
def test_manifest_of_the_template_equals_the_manifest_of_thoughts_api(name: str) -> None:
    assert MANIFESTS[name] == (ROOT / name).read_text()


def test_deployment_of_the_template_has_only_lines_of_thoughts_api() -> None:
    name = "k8s/base/thoughts-api/deployment.yaml"
    own, other = MANIFESTS[name].splitlines(), (ROOT / name).read_text().splitlines()
    assert [line for line in own if line not in other] == []
    assert [line.strip() for line in other if line not in own] == [
        "- name: DATABASE_REPLICA_URL",
        "key: DATABASE_REPLICA_URL",
        "optional: true",
    ]


def test_removal_reverts_every_insert() -> None:
    contents = edited(Insert.insert, NOTES)
    assert all("notes" in content for content in contents.values())
    for insert in Insert.of(NOTES):
        contents[insert.file] = insert.remove(contents[insert.file])
    assert contents == {file: file.read_text() for file in contents}


def test_names_replace_every_word_of_the_template() -> None:
    names = Names("stories", 8004, "ShortStory")
    text = "notes_api notes-api Notes API NoteListView note-list $NOTES_DATABASE_URL 8003"
    rendered = "stories_api stories-api Stories API ShortStoryListView short_story-list $STORIES_DATABASE_URL 8004"
    assert names.render(text) == rendered
