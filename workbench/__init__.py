"""The ground floor: errors, frozen configuration, manifests, atomic files, the console. No domain knowledge."""
