"""The tenant actor, pure: users and sign-ins. Its chain is the tenant's audit trail."""
