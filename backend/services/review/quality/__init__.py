"""What keeps reviews honest: known answers, adjudication, pauses."""
