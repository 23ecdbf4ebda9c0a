"""Tests of directories, against slapd and a Samba domain controller."""
