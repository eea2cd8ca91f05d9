package main

import (
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/cmd/internal/options"
)

// The scripts ask the program itself what may come next, so they need not
// change when it does.
const (
	bashCompletion = `_lhsmctl() {
	local cur="${COMP_WORDS[COMP_CWORD]}" words=("${COMP_WORDS[@]:0:COMP_CWORD}")
	[[ $cur == -* ]] && words+=("${cur/#--/-}") # a "--" would be the end of flags
	COMPREPLY=($(compgen -W "$("${words[@]}" ` + completionFlag + ` 2>/dev/null)" -- "$cur"))
}
complete -o bashdefault -o default -F _lhsmctl lhsmctl
`
	zshCompletion = `#compdef lhsmctl
_lhsmctl() {
	local -a typed options
	typed=("${(@)words[1,CURRENT-1]}")
	[[ ${words[CURRENT]} == -* ]] && typed+=("${words[CURRENT]/#--/-}")
	options=("${(@f)$(_CLI_ZSH_AUTOCOMPLETE_HACK=1 "${typed[@]}" ` + completionFlag + ` 2>/dev/null)}")
	if [[ -n ${options[1]} ]]; then _describe values options; else _files; fi
}
`
)

func (p *program) completionCommand() *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print the script by which a shell completes our commands: source <(lhsmctl completion bash)", ArgsUsage: "bash|zsh|fish",
		BashComplete: func(*cli.Context) { io.WriteString(p.stdout, strings.Join(options.Shells, "\n")+"\n") }, //nolint:errcheck // a shell that is gone completes nothing
		Action: func(c *cli.Context) error {
			script, err := "", error(nil)
			switch shell := c.Args().First(); shell {
			case "bash":
				script = bashCompletion
			case "zsh":
				script = zshCompletion + options.ZshStart(programName)
			case "fish":
				script, err = c.App.ToFishCompletion()
			default:
				return options.Usagef("%q is none of %s", shell, strings.Join(options.Shells, ", "))
			}
			if err != nil {
				return err
			}
			_, err = io.WriteString(p.stdout, strings.TrimLeft(script, "\n"))
			return err
		},
	}
}
