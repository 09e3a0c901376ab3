"""What acts: processes, probes, logs, and the orchestrator that reconciles wish and fact."""
