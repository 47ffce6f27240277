"""Jobs, schedules, sensors and the conditions under which assets follow their inputs."""
