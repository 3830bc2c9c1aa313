"""What each panel shows: functions from records to components; nothing here asks the atlas or listens."""
