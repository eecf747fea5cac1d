_clap_complete_@NAME@() {
    local IFS=$'\013'
    # Bash breaks words at `:` and `=`, so an address comes in pieces: put them together.
    local words=() index=0 glue= i word
    for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word =~ ^[:=]+$ && ${#words[@]} -gt 0 ]]; then
            words[${#words[@]} - 1]+=$word
            glue=1
        elif [[ -n $glue ]]; then
            words[${#words[@]} - 1]+=$word
            glue=
        else
            words+=("$word")
        fi
        [[ $i -eq $COMP_CWORD ]] && index=$((${#words[@]} - 1))
    done
    local current=${words[index]}
    # What stays in front of the word that bash replaces.
    local kept=${current%"$2"}
    local space=true
    compopt +o nospace 2>/dev/null && space=false
    COMPREPLY=($(
        _CLAP_IFS="$IFS" \
            _CLAP_COMPLETE_INDEX="$index" \
            _CLAP_COMPLETE_COMP_TYPE="$COMP_TYPE" \
            _CLAP_COMPLETE_SPACE="$space" \
            @VARIABLE@=bash \
            @COMPLETER@ -- "${words[@]}"
    ))
    if [[ $? != 0 ]]; then
        unset COMPREPLY
        return
    fi
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    if [[ $space == false && ${COMPREPLY-} =~ [=/:]$ ]]; then
        compopt -o nospace
    fi
}
if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -o nospace -o bashdefault -o nosort -F _clap_complete_@NAME@ @BIN@
else
    complete -o nospace -o bashdefault -F _clap_complete_@NAME@ @BIN@
fi
