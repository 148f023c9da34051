"""The benchmark around ``compresso``: datasets, measurement, results, tables and figures."""
