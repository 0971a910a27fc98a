"""Write, check, preview, release and send newsletters."""
