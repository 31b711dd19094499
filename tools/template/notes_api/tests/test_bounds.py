from common.tests.bounds import unbounded_text_fields


def test_every_text_field_of_a_serializer_has_a_maximum_length() -> None:
    assert unbounded_text_fields("notes_api") == set()
