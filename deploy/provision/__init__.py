"""Provisioning: identities, accounts, streams, database users, indexes and keys; safe to repeat.

Two provisioners may run at the same time, and one may be stopped at any point: running it again
finishes the work. Nothing that exists is ever replaced by something weaker or made anew.
"""
