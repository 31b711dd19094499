"""Make a Django REST framework project speak the contract: tokens, errors, input, OpenAPI.

`common.settings.REST_FRAMEWORK` names the classes in here.
"""
