"""What users_api, thoughts_api and web share. It has no models and imports none of them."""
