"""Signing in at a tenant's identity provider: OpenID Connect, authorisation code flow with PKCE."""
