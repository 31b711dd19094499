"""Extend Django REST framework: token authentication, one error body, strict input, OpenAPI.

`common.settings.REST_FRAMEWORK` names these classes.
"""
