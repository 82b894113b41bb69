//! Jobs: work that takes longer than a request, with progress, an end and a result.

super::named! {
    /// Kind of a job.
    JobKind {
        /// Reading a file of subscribers as an import would, and changing nothing.
        ImportTrial => "import_trial",
        /// Importing a file of subscribers.
        Import => "import",
        /// Writing subscribers into a file.
        Export => "export",
        /// Pausing mail to many subscribers.
        Pause => "pause",
        /// Unsubscribing many.
        Unsubscribe => "unsubscribe",
        /// Erasing many.
        Erase => "erase",
        /// Sending a test copy of a digest.
        TestCopy => "test_copy",
    }
}

super::named! {
    /// State of a job.
    JobState {
        /// At work, in a process that renews its lease.
        Running => "running",
        /// Done.
        Done => "done",
        /// Failed, or its process ended.
        Failed => "failed",
        /// Cancelled by a user.
        Cancelled => "cancelled",
    }
}

impl JobKind {
    /// Words for people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::ImportTrial => "Trial of an import",
            Self::Import => "Import",
            Self::Export => "Export",
            Self::Pause => "Pause of many",
            Self::Unsubscribe => "Unsubscribing many",
            Self::Erase => "Erasing many",
            Self::TestCopy => "Test copy",
        }
    }
}
