"""`botctl serve`: the page, the JSON documents and the metrics over HTTP, to read and nothing else."""
