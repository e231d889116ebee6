//! The names of the event types, and the shorter ones by which clients may ask for them.

pub(super) const TASK_STATUS_CHANGED: &str = "TaskStatusChanged";
pub(super) const BATCH_OPERATION_UPDATE: &str = "BatchOperationUpdate";
pub const SYSTEM_HEALTH_UPDATE: &str = "SystemHealthUpdate";
pub(super) const WORKFLOW_PROGRESS_UPDATE: &str = "WorkflowProgressUpdate";
pub const LOG_ENTRY: &str = "LogEntry";
pub const METRIC_UPDATE: &str = "MetricUpdate";

/// The type that a client means.
//= provisioning#5.7
//# exact type names also accepted: task→TaskStatusChanged, batch→
//# BatchOperationUpdate, system|health→SystemHealthUpdate, workflow|progress→WorkflowProgressUpdate, log(s)→LogEntry,
//# metric(s)→MetricUpdate.
pub(super) fn of_name(name: &str) -> &str {
    match name {
        "task" => TASK_STATUS_CHANGED,
        "batch" => BATCH_OPERATION_UPDATE,
        "system" | "health" => SYSTEM_HEALTH_UPDATE,
        "workflow" | "progress" => WORKFLOW_PROGRESS_UPDATE,
        "log" | "logs" => LOG_ENTRY,
        "metric" | "metrics" => METRIC_UPDATE,
        name => name,
    }
}

/// The members that say which thing an event of this type is about.
pub(super) fn key_members(event_type: &str) -> &'static [&'static str] {
    match event_type {
        TASK_STATUS_CHANGED => &["task_id"],
        BATCH_OPERATION_UPDATE => &["batch_id"],
        WORKFLOW_PROGRESS_UPDATE => &["workflow_id"],
        METRIC_UPDATE => &["metric_name"],
        _ => &[],
    }
}
