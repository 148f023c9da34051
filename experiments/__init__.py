"""The harness around ``compresso``: datasets, measurement, results, tables and figures."""
