"""Extend Django REST framework: token authentication, one format for errors, strict input, OpenAPI.

The setting `common.settings.REST_FRAMEWORK` makes Django REST framework use these classes.
"""
