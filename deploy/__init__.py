"""The composition root: settings, processes, command line, provisioning, the local stack."""
