"""Hold: a restored or cloned database sends nothing until somebody says so."""
