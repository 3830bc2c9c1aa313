"""The end points that the page calls beside its callbacks: arrays, pictures, jobs, exports."""
