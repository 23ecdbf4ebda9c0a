"""Users and groups that somebody else keeps: LDAP and Active Directory, only ever asked."""
