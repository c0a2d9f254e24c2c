"""From an inbox to judged, tagged and filed mail, with a journal."""
