"""Classes and functions that extend Django REST framework.

They authenticate clients by access token, give all errors one format, check input strictly, and extend the OpenAPI
document. The setting `common.settings.REST_FRAMEWORK` makes Django REST framework use these classes.
"""
