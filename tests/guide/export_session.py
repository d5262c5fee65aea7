#!/usr/bin/env python3
"""
Export session to different formats.
"""

import json
import argparse
from datetime import datetime

def export_session(session_file, format_type='txt'):
    """Export session to specified format."""

    with open(session_file, 'r') as f:
        session = json.load(f)

    if format_type == 'txt':
        return export_to_text(session)
    elif format_type == 'md':
        return export_to_markdown(session)
    elif format_type == 'csv':
        return export_to_csv(session)
    else:
        raise ValueError(f"Unsupported format: {format_type}")

def export_to_text(session):
    """Export session to plain text."""

    output = []
    output.append(f"Session: {session.get('model', 'Unknown')}")
    output.append(f"Created: {session.get('created_at', 'Unknown')}")

    if session.get('system'):
        output.append(f"System: {session['system']}")

    output.append("=" * 50)
    output.append("")

    for i, turn in enumerate(session.get('turns', []), 1):
        messages = turn.get('messages', [])

        for msg in messages:
            role = msg['role'].upper()
            content = msg['content']
            output.append(f"{role}: {content}")
            output.append("")

        # Add turn stats
        usage = turn.get('usage', {})
        if usage:
            tokens = usage.get('total_tokens', 0)
            cost = turn.get('cost_estimate', 0)
            latency = turn.get('latency_ms', 0)
            output.append(f"[Turn {i} - Tokens: {tokens}, Cost: ${cost:.4f}, Time: {latency:.0f}ms]")
            output.append("")

    return "\n".join(output)

def export_to_markdown(session):
    """Export session to Markdown format."""

    output = []
    output.append(f"# Chat Session")
    output.append("")
    output.append(f"**Model:** {session.get('model', 'Unknown')}")
    output.append(f"**Created:** {session.get('created_at', 'Unknown')}")

    if session.get('system'):
        output.append(f"**System Prompt:** {session['system']}")

    output.append("")
    output.append("## Conversation")
    output.append("")

    for i, turn in enumerate(session.get('turns', []), 1):
        messages = turn.get('messages', [])

        for msg in messages:
            role = "👤 **User**" if msg['role'] == 'user' else "🤖 **Assistant**"
            content = msg['content']
            output.append(f"{role}: {content}")
            output.append("")

        # Add turn stats as collapsible section
        usage = turn.get('usage', {})
        if usage:
            tokens = usage.get('total_tokens', 0)
            cost = turn.get('cost_estimate', 0)
            latency = turn.get('latency_ms', 0)

            output.append("<details>")
            output.append(f"<summary>Turn {i} Statistics</summary>")
            output.append("")
            output.append(f"- **Tokens:** {tokens}")
            output.append(f"- **Cost:** ${cost:.4f}")
            output.append(f"- **Latency:** {latency:.0f}ms")
            output.append("")
            output.append("</details>")
            output.append("")

    return "\n".join(output)

# Usage example
if __name__ == "__main__":
    parser = argparse.ArgumentParser(description='Export session to different formats')
    parser.add_argument('session_file', help='Path to session JSON file')
    parser.add_argument('--format', choices=['txt', 'md', 'csv'], default='txt', 
                       help='Export format')
    parser.add_argument('--output', help='Output file (default: stdout)')

    args = parser.parse_args()

    try:
        result = export_session(args.session_file, args.format)

        if args.output:
            with open(args.output, 'w') as f:
                f.write(result)
            print(f"Exported to {args.output}")
        else:
            print(result)

    except Exception as e:
        print(f"Export failed: {e}")
