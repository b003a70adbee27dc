_ddrescue() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="ddrescue"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        ddrescue)
            opts="-h -V -a -A -b -B -c -C -d -D -e -E -f -F -G -H -i -I -J -K -L -m -M -n -N -o -O -p -P -q -r -R -s -S -t -T -u -v -w -W -x -X -y -Z --help --version --min-read-rate --try-again --sector-size --binary-prefixes --cluster-size --complete-only --idirect --odirect --max-bad-areas --max-error-rate --force --fill-mode --generate-mode --test-mode --input-position --check-input-size --check-on-error --skip-size --loose-domain --domain-mapfile --retrim --no-scrape --no-trim --output-position --reopen-on-error --preallocate --data-preview --quiet --retry-passes --reverse --size --sparse --truncate --timeout --unidirectional --verbose --ignore-write-errors --compare-before-write --extend-outfile --max-read-errors --synchronous --max-read-rate --ask --command-mode --continue-on-errno --cpass --delay-slow --log-events --log-rates --log-reads --mapfile-interval --max-slow-reads --pause-on-error --pause-on-pass --reset-slow --same-file"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --min-read-rate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -a)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --sector-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -b)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cluster-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-bad-areas)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-error-rate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -E)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --fill-mode)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -F)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --test-mode)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -H)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --input-position)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -i)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --skip-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -K)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --domain-mapfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -m)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --output-position)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -o)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --data-preview)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -P)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --retry-passes)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -r)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -T)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --extend-outfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -x)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-read-errors)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -X)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-read-rate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -Z)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --continue-on-errno)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cpass)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --delay-slow)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-events)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-rates)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-reads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mapfile-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-slow-reads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pause-on-error)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pause-on-pass)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _ddrescue -o nosort -o bashdefault -o default ddrescue
else
    complete -F _ddrescue -o bashdefault -o default ddrescue
fi
